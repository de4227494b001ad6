/**
 * Ids of sessions and messages: ULIDs (48 bits of milliseconds, 80 bits of chance, in Crockford's base32).
 *
 * Two of one millisecond and one maker follow one another, so that ids sort as they were made, and the random part is
 * drawn once a millisecond.
 */

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const TIME_LENGTH = 10
const RANDOM_LENGTH = 16
const LAST: number = RANDOM_LENGTH - 1
/** Drawn at one go: under load every millisecond wants its own, and each draw asks the system. */
const DRAWS_AT_ONCE = 64

/** A maker of ids. Each server has one. */
export function idMaker(): (nowMs: number) => string {
  let lastMs = -1
  /** All but the last character, which is what mostly changes. */
  let beginning = ''
  const drawn = new Uint8Array(RANDOM_LENGTH * DRAWS_AT_ONCE)
  let used = drawn.length
  // Five bits an element, most significant first.
  const random = new Uint8Array(RANDOM_LENGTH)

  return (nowMs) => {
    if (nowMs > lastMs) {
      lastMs = nowMs
      if (used === drawn.length) {
        crypto.getRandomValues(drawn)
        used = 0
      }
      for (let i = 0; i < RANDOM_LENGTH; i++) random[i] = (drawn[used++] as number) & 31
      // Room to count up from, before the next millisecond.
      random[0] = (random[0] as number) & 15
      beginning = encodeTime(lastMs) + encodeBeginning(random)
    } else if (increment(random)) {
      beginning = encodeTime(lastMs) + encodeBeginning(random)
    }
    return beginning + (ALPHABET[random[LAST] as number] as string)
  }
}

function encodeTime(ms: number): string {
  let text = ''
  let left = ms
  for (let i = 0; i < TIME_LENGTH; i++) {
    text = (ALPHABET[left % 32] as string) + text
    left = Math.floor(left / 32)
  }
  return text
}

function encodeBeginning(random: Uint8Array): string {
  let text = ''
  for (let i = 0; i < LAST; i++) text += ALPHABET[random[i] as number]
  return text
}

/** Counts up by one. Whether more than the last element changed. */
function increment(random: Uint8Array): boolean {
  let i = LAST
  while (random[i] === 31 && i > 0) random[i--] = 0
  random[i] = (random[i] as number) + 1
  return i < LAST
}
