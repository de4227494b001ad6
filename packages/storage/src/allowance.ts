import { StorageError } from './error.ts'

/** What the writers of one store may hold in memory, all of them together. */
export class Allowance {
  readonly #maxBytes: number
  #takenBytes = 0
  /** A Worker whose time is over stops in the middle, and gives nothing back: that is done once its writer was collected. */
  readonly #lost = new FinalizationRegistry<Share>((share) => share.give())

  /** @throws RangeError when it is not a whole number of bytes */
  constructor(maxBufferedBytes: number) {
    if (!Number.isSafeInteger(maxBufferedBytes) || maxBufferedBytes < 0) {
      throw new RangeError(`maxBufferedBytes: ${maxBufferedBytes} is not a whole number of bytes`)
    }
    this.#maxBytes = maxBufferedBytes
  }

  /** What one writer holds. */
  share(writer: object): Share {
    const share = new Share(this)
    this.#lost.register(writer, share)
    return share
  }

  /** Whether so many bytes can be taken and nearly all be left for others. */
  isAmple(byteLength: number): boolean {
    return this.#takenBytes + byteLength <= this.#maxBytes / 8
  }

  /** @throws StorageError `no-space` */
  take(byteLength: number): void {
    if (this.#takenBytes + byteLength > this.#maxBytes) {
      throw new StorageError('no-space', `blobs under way hold ${this.#takenBytes} bytes of ${this.#maxBytes}`)
    }
    this.#takenBytes += byteLength
  }

  give(byteLength: number): void {
    this.#takenBytes -= byteLength
  }
}

/** What one writer has of an {@link Allowance}. */
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

  /** Takes so much if there is plenty. @returns whether it did. */
  takeIfAmple(byteLength: number): boolean {
    if (!this.#allowance.isAmple(byteLength)) return false
    this.take(byteLength)
    return true
  }

  /** Gives back so much, or all. */
  give(byteLength: number = this.#heldBytes): void {
    this.#allowance.give(byteLength)
    this.#heldBytes -= byteLength
  }
}
