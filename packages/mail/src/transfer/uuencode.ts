/** Decodes uuencode, as `uuencode` of POSIX.1 writes it: a line `begin MODE NAME`, lines with their length in front, a line `end`. */
import { NOTHING, type TellDefect, type TransferDecoder } from './transfer.ts'

const LF = 10
const CR = 13
/** The longest line has 45 octets in 61 characters. A longer one is cut here. */
const MAX_LINE = 256
const STATE = { before: 0, inside: 1, after: 2 } as const

export class UuencodeDecoder implements TransferDecoder {
  readonly #tell: TellDefect
  readonly #line = new Uint8Array(MAX_LINE)
  #length = 0
  #state: number = STATE.before

  constructor(tell: TellDefect) {
    this.#tell = tell
  }

  write(piece: Uint8Array): Uint8Array {
    const output = new Uint8Array(this.#length + piece.length)
    let used = 0
    let i = 0
    while (i < piece.length) {
      const lf = piece.indexOf(LF, i)
      const end = lf < 0 ? piece.length : lf
      const taken = Math.min(end - i, MAX_LINE - this.#length)
      this.#line.set(piece.subarray(i, i + taken), this.#length)
      this.#length += taken
      i = end + 1
      if (lf >= 0) used = this.#take(output, used)
    }
    return output.subarray(0, used)
  }

  end(): Uint8Array {
    const output = new Uint8Array(MAX_LINE)
    const used = this.#take(output, 0)
    if (this.#state !== STATE.after) this.#tell('uuencode')
    return used === 0 ? NOTHING : output.subarray(0, used)
  }

  /** Takes the line that is held. Returns how much of the output is used then. */
  #take(output: Uint8Array, used: number): number {
    const end = this.#length > 0 && this.#line[this.#length - 1] === CR ? this.#length - 1 : this.#length
    const line = this.#line.subarray(0, end)
    this.#length = 0
    if (this.#state === STATE.before) {
      if (isWord(line, 'begin ')) this.#state = STATE.inside
      else if (end > 0) this.#tell('uuencode')
      return used
    }
    if (end === 0) return used
    if (this.#state === STATE.after) {
      this.#tell('uuencode')
      return used
    }
    if (isWord(line, 'end') && end === 3) {
      this.#state = STATE.after
      return used
    }
    return this.#decode(line, output, used)
  }

  #decode(line: Uint8Array, output: Uint8Array, used: number): number {
    const octets = valueAt(line, 0)
    // Some programs leave out spaces at the end of a line.
    if (octets < 0 || line.length - 1 > Math.ceil(octets / 3) * 4 + 1) {
      this.#tell('uuencode')
      return used
    }
    let done = 0
    for (let i = 1; done < octets && i < line.length; i += 4) {
      const group =
        (valueAt(line, i) << 18) | (valueAt(line, i + 1) << 12) | (valueAt(line, i + 2) << 6) | valueAt(line, i + 3)
      if (group < 0) {
        this.#tell('uuencode')
        return used + done
      }
      for (const shift of [16, 8, 0]) if (done < octets) output[used + done++] = group >> shift
    }
    return used + done
  }
}

/** Returns the value of a character, 0 behind the end of the line, -1 for a character that uuencode does not have. */
function valueAt(line: Uint8Array, index: number): number {
  const character = line[index] ?? 32
  return character >= 32 && character <= 96 ? (character - 32) & 63 : -1
}

function isWord(line: Uint8Array, word: string): boolean {
  return line.length >= word.length && Array.from(word).every((character, i) => line[i] === character.charCodeAt(0))
}
