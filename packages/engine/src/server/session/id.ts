/**
 * Ids of sessions and messages: ULIDs (48 bits of milliseconds, 80 random bits, in Crockford's base32).
 * The random part is drawn once a second and counted up from one id to the next. So the ids of one maker sort in the
 * order in which they were made. Most of an id is the same as in the one before, so that part is kept as text.
 */

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
/** Characters of the time that are kept: all but the last two. */
const STRETCH_LENGTH = 8
/** Milliseconds that the last two characters can count. */
const STRETCH_MS = 1_024
const RANDOM_LENGTH = 16
const LAST: number = RANDOM_LENGTH - 1

/** Returns a function that makes ids. Each server has one. */
export function idMaker(): (nowMs: number) => string {
  let lastMs = -1
  let stretch = -1
  let stretchText = ''
  let timeText = ''
  /** Five bits in each element, most significant first. All but the last element are also kept as text. */
  const random = new Uint8Array(RANDOM_LENGTH)
  let randomText = ''

  return (nowMs) => {
    let isTextStale = increment(random)
    if (nowMs > lastMs) {
      lastMs = nowMs
      const now = Math.floor(nowMs / STRETCH_MS)
      if (now !== stretch) {
        stretch = now
        stretchText = encodeTime(now)
        draw(random)
        isTextStale = true
      }
      const ms = nowMs - now * STRETCH_MS
      timeText = stretchText + (ALPHABET[ms >> 5] as string) + (ALPHABET[ms & 31] as string)
    }
    if (isTextStale) randomText = encodeBeginning(random)
    return timeText + randomText + (ALPHABET[random[LAST] as number] as string)
  }
}

function encodeTime(stretch: number): string {
  let text = ''
  let left = stretch
  for (let i = 0; i < STRETCH_LENGTH; i++) {
    text = (ALPHABET[left % 32] as string) + text
    left = Math.floor(left / 32)
  }
  return text
}

function draw(random: Uint8Array<ArrayBuffer>): void {
  crypto.getRandomValues(random)
  for (let i = 0; i < RANDOM_LENGTH; i++) random[i] = (random[i] as number) & 31
  // Leaves room to count up before the next draw.
  random[0] = (random[0] as number) & 15
}

function encodeBeginning(random: Uint8Array): string {
  let text = ''
  for (let i = 0; i < LAST; i++) text += ALPHABET[random[i] as number]
  return text
}

/** Counts up by one. Returns whether more than the last element changed. */
function increment(random: Uint8Array): boolean {
  let i = LAST
  while (random[i] === 31 && i > 0) random[i--] = 0
  random[i] = (random[i] as number) + 1
  return i < LAST
}
