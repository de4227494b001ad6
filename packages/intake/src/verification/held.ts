/** The bytes of one message that wait for its verdicts: the first in memory, and the others where the program wants them. */

/** A place for bytes that are too many for the memory. It belongs to one message. */
export interface Overflow {
  /** Appends bytes. The view is valid only until the promise resolves. */
  write(bytes: Uint8Array): Promise<void>
  /** Yields all bytes, once. A view is valid until the next one is asked for. */
  read(): AsyncIterable<Uint8Array>
  /** Removes the bytes. May be called at any time. */
  close(): Promise<void>
}

/** What the headers of all messages may take beyond their first 64 KiB. */
export class HeaderBudget {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  /** Takes bytes, or returns false if there are not so many left. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  giveBack(bytes: number): void {
    this.#left += bytes
  }
}

/** More headers of this length arrive at the same time than the budget allows. */
export class BudgetError extends Error {
  override readonly name = 'BudgetError'
}

const MEMORY_BYTES = 64 * 1024
/** A header of 256 KiB fits, and the verifier refuses a longer one. */
const HEADER_BYTES = 320 * 1024
const FIRST_BYTES = 16 * 1024
/** The verifier has a copy of the header. */
const COPIES = 2
const LF = 10
const CR = 13

export class HeldBytes {
  readonly #open: () => Overflow
  readonly #budget: HeaderBudget
  #buffer = new Uint8Array(FIRST_BYTES)
  #size = 0
  #overflow: Overflow | undefined
  /** Where the line begins in which the header may end. */
  #lineStart = 0
  #headerEnd: number | undefined
  #taken = 0

  /** @param open Called if the bytes are more than the memory takes */
  constructor(open: () => Overflow, budget: HeaderBudget) {
    this.#open = open
    this.#budget = budget
  }

  /** The bytes in memory, with the whole header if it is not too long. All of them, unless there is an overflow. */
  get first(): Uint8Array {
    return this.#buffer.subarray(0, this.#size)
  }

  /** Where the empty line behind the header begins, or the end of the bytes in memory. */
  get headerEnd(): number {
    return this.#headerEnd ?? this.#size
  }

  /** @throws BudgetError */
  add(bytes: Uint8Array): Promise<void> | undefined {
    const most = this.#headerEnd === undefined ? HEADER_BYTES : MEMORY_BYTES
    const kept = this.#overflow === undefined ? Math.max(0, Math.min(bytes.length, most - this.#size)) : 0
    if (kept > 0) this.#keep(bytes.subarray(0, kept))
    if (kept === bytes.length) return undefined
    this.#overflow ??= this.#open()
    return this.#overflow.write(bytes.subarray(kept))
  }

  /** Yields the bytes behind those in memory. */
  async *others(): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#overflow !== undefined) yield* this.#overflow.read()
  }

  async close(): Promise<void> {
    this.#budget.giveBack(this.#taken)
    this.#taken = 0
    await this.#overflow?.close()
  }

  #keep(bytes: Uint8Array): void {
    const size = this.#size + bytes.length
    if (size > this.#buffer.length) {
      const length = Math.min(HEADER_BYTES, Math.max(size, 2 * this.#buffer.length))
      const more = COPIES * Math.max(0, length - Math.max(MEMORY_BYTES, this.#buffer.length))
      if (!this.#budget.take(more)) throw new BudgetError()
      this.#taken += more
      const grown = new Uint8Array(length)
      grown.set(this.first)
      this.#buffer = grown
    }
    this.#buffer.set(bytes, this.#size)
    this.#size = size
    this.#headerEnd ??= this.#findHeaderEnd()
  }

  #findHeaderEnd(): number | undefined {
    const bytes = this.first
    for (;;) {
      const at = this.#lineStart
      if (bytes[at] === LF || (bytes[at] === CR && bytes[at + 1] === LF)) return at
      const lf = bytes.indexOf(LF, at)
      if (lf === -1) return undefined
      this.#lineStart = lf + 1
    }
  }
}
