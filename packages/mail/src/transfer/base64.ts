/** Decodes base64: RFC 2045 6.8. White space and line ends may be anywhere. */
import { simdBase64 } from './simd-base64.ts'
import { NOTHING, type TellDefect, type TransferDecoder } from './transfer.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const PAD = 61
/** Not in the alphabet. Every sum that has it is negative. */
const OTHER = -0x8000_0000

/** The value of a character, where it stands in its group of four. */
const VALUES: readonly Int32Array[] = [18, 12, 6, 0].map((shift) => {
  const values = new Int32Array(256).fill(OTHER)
  for (let i = 0; i < ALPHABET.length; i++) values[ALPHABET.charCodeAt(i)] = i << shift
  return values
})
const [FIRST, SECOND, THIRD, FOURTH] = VALUES as [Int32Array, Int32Array, Int32Array, Int32Array]
const WHITE_SPACE: ReadonlySet<number> = new Set([9, 10, 11, 12, 13, 32])

/** With fewer characters, the copy into the decoder's memory needs more time than it saves. */
const MIN_SIMD = 256
/** So many characters are decoded without it if it stopped early. */
const SLOW = 65_536

export class Base64Decoder implements TransferDecoder {
  readonly #tell: TellDefect
  /** The bits of a group that has begun. */
  #bits = 0
  /** Characters of that group. */
  #count = 0
  #isPadded = false

  constructor(tell: TellDefect) {
    this.#tell = tell
  }

  write(piece: Uint8Array): Uint8Array {
    const { length } = piece
    const output = new Uint8Array(Math.ceil(length / 4) * 3 + 3)
    let used = 0
    let i = 0
    let slowUntil = 0
    while (i < length) {
      if (this.#count === 0 && !this.#isPadded) {
        if (length - i >= MIN_SIMD && i >= slowUntil) {
          const simd = simdBase64()
          if (simd !== null) {
            const stopped = simd.decode(piece, i, output, used)
            used += simd.written
            // The copy costs more than it saves where few characters are in ordinary lines.
            if (stopped - i < MIN_SIMD / 2) slowUntil = i + SLOW
            i = stopped
          }
        }
        const last = length - 3
        while (i < last) {
          const group =
            (FIRST[piece[i] as number] as number) |
            (SECOND[piece[i + 1] as number] as number) |
            (THIRD[piece[i + 2] as number] as number) |
            (FOURTH[piece[i + 3] as number] as number)
          if (group < 0) break
          output[used] = group >> 16
          output[used + 1] = group >> 8
          output[used + 2] = group
          used += 3
          i += 4
        }
        if (i >= length) break
      }
      used = this.#one(piece[i++] as number, output, used)
    }
    return output.subarray(0, used)
  }

  /** Takes one character. Returns how much of the output is used then. */
  #one(character: number, output: Uint8Array, used: number): number {
    const value = FOURTH[character] as number
    if (value < 0) {
      if (character === PAD) return this.#pad(output, used)
      if (!WHITE_SPACE.has(character)) this.#tell('base64-character')
      return used
    }
    if (this.#isPadded) {
      this.#isPadded = false
      this.#tell('base64-padding')
    }
    this.#bits = (this.#bits << 6) | value
    if (++this.#count < 4) return used
    output[used] = this.#bits >> 16
    output[used + 1] = this.#bits >> 8
    output[used + 2] = this.#bits
    this.#bits = this.#count = 0
    return used + 3
  }

  #pad(output: Uint8Array, used: number): number {
    this.#isPadded = true
    if (this.#count === 0) return used
    if (this.#count === 1) this.#tell('base64-end')
    return used + this.#flush(output, used)
  }

  /** Writes the whole octets of a group that is not full. Returns their number. */
  #flush(output: Uint8Array, used: number): number {
    const octets = Math.max(0, this.#count - 1)
    const bits = this.#bits << (6 * (4 - this.#count))
    if (octets > 0) output[used] = bits >> 16
    if (octets > 1) output[used + 1] = bits >> 8
    this.#bits = this.#count = 0
    return octets
  }

  end(): Uint8Array {
    if (this.#count === 0) return NOTHING
    this.#tell('base64-end')
    const output = new Uint8Array(2)
    return output.subarray(0, this.#flush(output, 0))
  }
}
