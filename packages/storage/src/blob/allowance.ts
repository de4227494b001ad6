import { StorageError } from './error.ts'

/** Counts bytes that are held: by one store, or by several that share a bound. */
export interface ByteCount {
  /** Counts so many more, or below 0 fewer. @returns how many there are now */
  add(byteLength: number): number
}

/** What the writers of one store may hold in memory, all of them together. */
export class Allowance {
  readonly #maxBytes: number
  readonly #taken: ByteCount
  /** A Worker whose time is over stops in the middle, and gives nothing back: that is done once its writer was collected. */
  readonly #lost = new FinalizationRegistry<Share>((share) => share.give())

  /** @throws RangeError when it is not a whole number of bytes */
  constructor(maxBufferedBytes: number, taken: ByteCount = ownCount()) {
    if (!Number.isSafeInteger(maxBufferedBytes) || maxBufferedBytes < 0) {
      throw new RangeError(`maxBufferedBytes: ${maxBufferedBytes} is not a whole number of bytes`)
    }
    this.#maxBytes = maxBufferedBytes
    this.#taken = taken
  }

  /** What one writer holds. */
  share(writer: object): Share {
    const share = new Share(this)
    this.#lost.register(writer, share)
    return share
  }

  /** Whether so many bytes can be taken and nearly all be left for others. */
  isAmple(byteLength: number): boolean {
    return this.#taken.add(0) + byteLength <= this.#maxBytes / 8
  }

  /** @throws StorageError `no-space` */
  take(byteLength: number): void {
    // Counted before it is compared: others may count at the same time, and none must miss what another took.
    if (this.#taken.add(byteLength) <= this.#maxBytes) return
    const takenBytes = this.#taken.add(-byteLength)
    throw new StorageError('no-space', `blobs under way hold ${takenBytes} bytes of ${this.#maxBytes}`)
  }

  give(byteLength: number): void {
    this.#taken.add(-byteLength)
  }
}

function ownCount(): ByteCount {
  let bytes = 0
  return { add: (byteLength) => (bytes += byteLength) }
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
