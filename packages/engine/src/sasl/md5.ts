/** MD5 (RFC 1321) and HMAC-MD5 (RFC 2104), which WebCrypto does not have. Only CRAM-MD5 uses them: MD5 is not safe for anything else. */

const BLOCK = 64
/** RFC 1321 3.4: the rotations of each round. */
const ROTATIONS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const
/** RFC 1321 3.4: the table T, made from the sine function. */
const SINES: readonly number[] = Array.from({ length: 64 }, (_, index) =>
  Math.floor(Math.abs(Math.sin(index + 1)) * 2 ** 32),
)

export function md5(octets: Uint8Array): Uint8Array<ArrayBuffer> {
  const padded = pad(octets)
  const words = new DataView(padded.buffer)
  const state: [number, number, number, number] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]
  for (let at = 0; at < padded.length; at += BLOCK) addBlock(state, words, at)
  const digest = new DataView(new ArrayBuffer(16))
  for (const [index, word] of state.entries()) digest.setUint32(index * 4, word, true)
  return new Uint8Array(digest.buffer)
}

/** Returns the digest of CRAM-MD5 in lower-case hexadecimal (RFC 2195 2). */
export function cramDigest(secret: Uint8Array, challenge: Uint8Array): string {
  return Array.from(hmacMd5(secret, challenge), (octet) => octet.toString(16).padStart(2, '0')).join('')
}

export function hmacMd5(key: Uint8Array, octets: Uint8Array): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(BLOCK)
  block.set(key.length > BLOCK ? md5(key) : key)
  const inner = md5(joined(xored(block, 0x36), octets))
  return md5(joined(xored(block, 0x5c), inner))
}

/** Appends a one bit, zeros, and the length in bits (RFC 1321 3.1 and 3.2). */
function pad(octets: Uint8Array): Uint8Array<ArrayBuffer> {
  const padded = new Uint8Array(Math.ceil((octets.length + 9) / BLOCK) * BLOCK)
  padded.set(octets)
  padded[octets.length] = 0x80
  const length = new DataView(padded.buffer, padded.length - 8)
  length.setUint32(0, octets.length * 8, true)
  length.setUint32(4, Math.floor(octets.length / 2 ** 29), true)
  return padded
}

function addBlock(state: [number, number, number, number], words: DataView, start: number): void {
  let [a, b, c, d] = state
  for (let step = 0; step < BLOCK; step++) {
    const [mixed, word] = mix(step, b, c, d)
    const sum = (a + mixed + (SINES[step] ?? 0) + words.getUint32(start + word * 4, true)) | 0
    const rotation = ROTATIONS[step >> 4]?.[step & 3] ?? 0
    ;[a, d, c, b] = [d, c, b, (b + ((sum << rotation) | (sum >>> (32 - rotation)))) | 0]
  }
  state[0] = (state[0] + a) | 0
  state[1] = (state[1] + b) | 0
  state[2] = (state[2] + c) | 0
  state[3] = (state[3] + d) | 0
}

/** Returns the round's function of three words, and the index of the word of the block that the step takes. */
function mix(step: number, b: number, c: number, d: number): [mixed: number, word: number] {
  if (step < 16) return [(b & c) | (~b & d), step]
  if (step < 32) return [(d & b) | (~d & c), (5 * step + 1) & 15]
  if (step < 48) return [b ^ c ^ d, (3 * step + 5) & 15]
  return [c ^ (b | ~d), (7 * step) & 15]
}

function xored(block: Uint8Array, mask: number): Uint8Array {
  return block.map((octet) => octet ^ mask)
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length)
  all.set(a)
  all.set(b, a.length)
  return all
}
