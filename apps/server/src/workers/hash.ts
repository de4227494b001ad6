/**
 * HalfSipHash-2-4 with a result of 64 bits, as in the reference code of Aumasson and Bernstein. It is for tables whose keys come from
 * strangers. Node's HMAC takes a hundred times as long for the few bytes of an address.
 */

/** Two words of 32 bits, signed. */
export type Hash = readonly [number, number]

/** Makes a key that nobody can guess. */
export function randomKey(): Hash {
  const [first = 0, second = 0] = crypto.getRandomValues(new Int32Array(2))
  return [first, second]
}

/** Computes the hash of an ASCII text under a key of two words. */
export function keyedHash(text: string, key: Hash): Hash {
  let v0 = key[0]
  let v1 = key[1] ^ 0xee
  let v2 = 0x6c796765 ^ key[0]
  let v3 = 0x74656462 ^ key[1]

  const mix = (rounds: number): void => {
    for (let round = 0; round < rounds; round++) {
      v0 = (v0 + v1) | 0
      v1 = rotated(v1, 5) ^ v0
      v0 = rotated(v0, 16)
      v2 = (v2 + v3) | 0
      v3 = rotated(v3, 8) ^ v2
      v0 = (v0 + v3) | 0
      v3 = rotated(v3, 7) ^ v0
      v2 = (v2 + v1) | 0
      v1 = rotated(v1, 13) ^ v2
      v2 = rotated(v2, 16)
    }
  }
  const add = (word: number): void => {
    v3 ^= word
    mix(2)
    v0 ^= word
  }

  const whole = text.length & ~3
  for (let at = 0; at < whole; at += 4) add(octets(text, at, at + 4))
  add((text.length << 24) | octets(text, whole, text.length))
  v2 ^= 0xee
  mix(4)
  const first = v1 ^ v3
  v1 ^= 0xdd
  mix(4)
  return [first, v1 ^ v3]
}

/** Reads up to four characters as one word, the first one in the lowest bits. */
function octets(text: string, begin: number, end: number): number {
  let word = 0
  for (let at = begin; at < end; at++) word |= (text.charCodeAt(at) & 0xff) << (8 * (at - begin))
  return word
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}
