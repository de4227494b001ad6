/** Decodes quoted-printable: RFC 2045 6.7. White space at the end of a line is left out, because transports add it. */
import { NOTHING, type TellDefect, type TransferDecoder } from './transfer.ts'

const TAB = 9
const LF = 10
const CR = 13
const SPACE = 32
const EQUALS = 61
/** A line has at most 76 characters, so more white space than that was meant. */
const MAX_WHITE_SPACE = 998

export class QuotedPrintableDecoder implements TransferDecoder {
  readonly #tell: TellDefect
  /** An = and what followed it, or white space that may be at the end of a line. */
  #held: number[] = []

  constructor(tell: TellDefect) {
    this.#tell = tell
  }

  write(piece: Uint8Array): Uint8Array {
    if (this.#held.length === 0 && !hasSpecial(piece)) return piece
    const output = new Uint8Array(piece.length + this.#held.length)
    let used = 0
    const { length } = piece
    for (let i = 0; i < length; i++) {
      const octet = piece[i] as number
      if (this.#held.length > 0) {
        used = this.#special(octet, output, used)
      } else if (octet === EQUALS && i + 2 < length) {
        const high = digit(piece[i + 1] as number)
        const low = digit(piece[i + 2] as number)
        if (high >= 0 && low >= 0) {
          output[used++] = high * 16 + low
          i += 2
        } else {
          used = this.#special(octet, output, used)
        }
      } else if (octet === EQUALS || ((octet === SPACE || octet === TAB) && !((piece[i + 1] ?? 0) > SPACE))) {
        used = this.#special(octet, output, used)
      } else {
        output[used++] = octet
      }
    }
    return output.subarray(0, used)
  }

  #special(octet: number, output: Uint8Array, used: number): number {
    const held = this.#held
    if (held.length === 0) {
      held.push(octet)
      return used
    }
    if (held[0] === EQUALS) return this.#escape(octet, output, used)
    if (octet === SPACE || octet === TAB) {
      held.push(octet)
      return held.length < MAX_WHITE_SPACE ? used : this.#keep(output, used)
    }
    if (octet === LF || octet === CR) this.#held = []
    const now = this.#keep(output, used)
    if (octet === EQUALS) {
      this.#held.push(octet)
      return now
    }
    output[now] = octet
    return now + 1
  }

  /** Takes an octet behind an =. */
  #escape(octet: number, output: Uint8Array, used: number): number {
    const held = this.#held
    const second = held[1]
    // A soft line break: =, white space, a line end.
    if (octet === LF) {
      this.#held = []
      return used
    }
    const isBlank = octet === SPACE || octet === TAB
    if (second === undefined || second === SPACE || second === TAB) {
      const isOpen = isBlank || octet === CR || (second === undefined && digit(octet) >= 0)
      if (isOpen && held.length < MAX_WHITE_SPACE) {
        held.push(octet)
        return used
      }
    } else if (second !== CR && held[held.length - 1] !== CR && digit(octet) >= 0) {
      output[used] = digit(second) * 16 + digit(octet)
      this.#held = []
      return used + 1
    }
    this.#tell('quoted-printable')
    const now = this.#keep(output, used)
    return this.#again(octet, output, now)
  }

  #again(octet: number, output: Uint8Array, used: number): number {
    if (octet === EQUALS || octet === SPACE || octet === TAB) {
      this.#held.push(octet)
      return used
    }
    output[used] = octet
    return used + 1
  }

  #keep(output: Uint8Array, used: number): number {
    output.set(this.#held, used)
    const now = used + this.#held.length
    this.#held = []
    return now
  }

  end(): Uint8Array {
    const held = this.#held
    this.#held = []
    if (held[0] !== EQUALS) return NOTHING
    // An = as the last octet is a soft line break whose line end is gone.
    if (held.slice(1).every((octet) => octet === SPACE || octet === TAB || octet === CR)) return NOTHING
    this.#tell('quoted-printable')
    return Uint8Array.from(held)
  }
}

function hasSpecial(piece: Uint8Array): boolean {
  return piece.includes(EQUALS) || piece.includes(SPACE) || piece.includes(TAB)
}

/** Returns the value of a hexadecimal digit, in either case; -1 for anything else. */
function digit(octet: number): number {
  if (octet >= 48 && octet <= 57) return octet - 48
  const lower = octet | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}
