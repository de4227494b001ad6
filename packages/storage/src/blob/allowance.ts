import { StorageError } from './error.ts'

/** Counts the bytes that one store holds in memory, or that several stores hold under one bound. */
export interface ByteCount {
  /**
   * Adds to the count. A negative number subtracts.
   * @returns the count
   */
  add(byteLength: number): number
}

/** The bytes that all writers of one store together may hold in memory. */
export class Allowance {
  readonly #maxBytes: number
  readonly #taken: ByteCount
  /**
   * If the time of a Worker is over, the Worker stops in the middle and gives nothing back. Its share is given back
   * when its writer is collected.
   */
  readonly #lost = new FinalizationRegistry<Share>((share) => share.give())

  /** @throws RangeError if it is not a whole number of bytes */
  constructor(maxBufferedBytes: number, taken: ByteCount = ownCount()) {
    if (!Number.isSafeInteger(maxBufferedBytes) || maxBufferedBytes < 0) {
      throw new RangeError(`maxBufferedBytes: ${maxBufferedBytes} is not a whole number of bytes`)
    }
    this.#maxBytes = maxBufferedBytes
    this.#taken = taken
  }

  /** Makes the share of one writer. */
  share(writer: object): Share {
    const share = new Share(this)
    this.#lost.register(writer, share)
    return share
  }

  /** Returns whether a writer can take this many bytes and still leave most of the allowance to others. */
  isAmple(byteLength: number): boolean {
    return this.#taken.add(0) + byteLength <= this.#maxBytes / 8
  }

  /** @throws StorageError `no-space` */
  take(byteLength: number): void {
    // Counts first and compares then, because other threads count at the same time and must see these bytes.
    if (this.#taken.add(byteLength) <= this.#maxBytes) return
    const takenBytes = this.#taken.add(-byteLength)
    throw new StorageError('no-space', `unfinished blobs hold ${takenBytes} bytes of ${this.#maxBytes}`)
  }

  give(byteLength: number): void {
    this.#taken.add(-byteLength)
  }
}

function ownCount(): ByteCount {
  let bytes = 0
  return { add: (byteLength) => (bytes += byteLength) }
}

/** The bytes of an {@link Allowance} that one writer has. */
export class Share {
  readonly #allowance: Allowance
  #heldBytes = 0

  constructor(allowance: Allowance) {
    this.#allowance = allowance
  }

  /** @throws StorageError `no-space` */
  take(byteLength: number): void {
    this.#allowance.take(byteLength)
    this.#heldBytes += byteLength
  }

  /**
   * Takes this many bytes if most of the allowance stays free.
   * @returns whether it took them
   */
  takeIfAmple(byteLength: number): boolean {
    if (!this.#allowance.isAmple(byteLength)) return false
    this.take(byteLength)
    return true
  }

  /** Gives back this many bytes, or all. */
  give(byteLength: number = this.#heldBytes): void {
    this.#allowance.give(byteLength)
    this.#heldBytes -= byteLength
  }
}
