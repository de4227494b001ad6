/**
 * Received bytes of a socket with callbacks, kept for a reader that comes later.
 * A chunk goes straight to the read that waits for it. Other chunks are kept. Over a bound, the socket is told to
 * pause. A read costs no promise if a chunk is there, and one promise if not.
 */

/** Bytes that may wait unread. Over it, the peer has to wait. */
const HIGH_WATER_MARK = 65_536
/** A chunk counts as at least this many bytes, because a tiny one needs memory too. */
const MIN_CHUNK_COST = 256

/** The socket that the chunks come from. */
export interface Source {
  /** Continues, after it was told to pause. */
  resume(): void
}

export class Received {
  /** Undefined if nothing can pause. Replaced when the connection becomes TLS. */
  source: Source | undefined
  readonly #chunks: Uint8Array[] = []
  #cost = 0
  #wasRead = false
  #resolve: ((bytes: Uint8Array | null) => void) | undefined
  #reject: ((error: Error) => void) | undefined
  #failure: Error | undefined
  #isFull = false
  #isDiscarding = false
  #isEnded = false
  #isClosed = false

  /** The peer has finished sending. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** True if a read is pending. */
  get isReading(): boolean {
    return this.#resolve !== undefined
  }

  /** The error that reads reject with. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** See `Duplex.read`. */
  read(): Uint8Array | null | Promise<Uint8Array | null> {
    this.#wasRead = true
    if (this.#chunks.length > 0) return this.#take()
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#isEnded || this.#isClosed) return null
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | null>()
    this.#resolve = resolve
    this.#reject = reject
    return promise
  }

  /** Takes a chunk, which must not change after that. Returns false if the socket must pause until it is told to resume. */
  push(chunk: Uint8Array): boolean {
    if (this.#isDiscarding) return true
    const resolve = this.#resolve
    if (resolve !== undefined) {
      this.#resolve = undefined
      resolve(chunk)
      return true
    }
    this.#chunks.push(chunk)
    this.#cost += cost(chunk)
    if (this.#cost < HIGH_WATER_MARK) return true
    this.#isFull = true
    return false
  }

  /** Notes that the peer has finished sending. Reads return null after the last chunk. */
  end(): void {
    this.#isEnded = true
    this.#resolve?.(null)
    this.#resolve = undefined
  }

  /** Makes reads reject after the last chunk, and the pending read at the close. The first failure counts. */
  fail(error: Error): void {
    this.#failure ??= error
  }

  /** Notes that nothing comes any more. The pending read rejects with the failure, or returns null if there is none. */
  close(): void {
    this.#isClosed = true
    if (this.#failure === undefined) this.#resolve?.(null)
    else if (this.#resolve !== undefined) this.#reject?.(this.#failure)
    this.#resolve = this.#reject = undefined
  }

  /** Returns whether anybody has read since the last call. */
  takeWasRead(): boolean {
    const wasRead = this.#wasRead
    this.#wasRead = false
    return wasRead
  }

  /** Takes all unread chunks. A socket that was told to pause stays paused. */
  takeAll(): Uint8Array[] {
    this.#cost = 0
    this.#isFull = false
    return this.#chunks.splice(0)
  }

  /** Drops all unread chunks. Returns their bytes. A socket that was told to pause stays paused. */
  drop(): number {
    return this.takeAll().reduce((sum, chunk) => sum + chunk.byteLength, 0)
  }

  /** Drops what nobody reads, if the socket had to pause. A later read fails, because bytes are missing. */
  throwAway(): void {
    if (!this.#isFull) return
    this.#failure ??= new Error('bytes that came after the end were dropped')
    this.#isDiscarding = true
    this.drop()
    this.source?.resume()
  }

  #take(): Uint8Array {
    const chunk = this.#chunks.shift() as Uint8Array
    this.#cost -= cost(chunk)
    if (this.#isFull && this.#cost < HIGH_WATER_MARK) {
      this.#isFull = false
      this.source?.resume()
    }
    return chunk
  }
}

function cost(chunk: Uint8Array): number {
  return Math.max(chunk.byteLength, MIN_CHUNK_COST)
}
