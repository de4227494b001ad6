/**
 * What a socket that calls back has received, for a reader that comes later.
 *
 * A chunk goes straight to the read that waits for it. Other chunks are kept, and beyond a mark the socket is told to pause.
 * A read costs no promise if a chunk is there, and one promise if not.
 */

/** Bytes that may wait unread before the peer is made to wait. */
const HIGH_WATER_MARK = 65_536
/** A chunk counts for at least so many bytes, because a tiny one takes memory too. */
const MIN_CHUNK_COST = 256

/** Where the chunks come from. */
export interface Source {
  /** Lets it go on, after it was told to pause. */
  resume(): void
}

export class Received {
  /** Undefined if nothing pauses. Another one when the connection becomes TLS. */
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

  /** A read is pending. */
  get isReading(): boolean {
    return this.#resolve !== undefined
  }

  /** What reads reject with. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** As `Duplex.read`. */
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

  /** Takes a chunk, which nobody changes from then on. Returns false if the socket has to pause, until it is told to resume. */
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

  /** Notes that the peer has finished sending. Reads answer null when the chunks are gone. */
  end(): void {
    this.#isEnded = true
    this.#resolve?.(null)
    this.#resolve = undefined
  }

  /** Lets reads reject when the chunks are gone, and the pending read at the close. The first failure stays. */
  fail(error: Error): void {
    this.#failure ??= error
  }

  /** Notes that nothing comes any more. The pending read rejects with the failure, or answers null if there is none. */
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

  /** Takes all that waits unread. A socket that was told to pause stays paused. */
  takeAll(): Uint8Array[] {
    this.#cost = 0
    this.#isFull = false
    return this.#chunks.splice(0)
  }

  /** Drops all that waits unread, as `takeAll` takes it. Returns how many bytes that was. */
  drop(): number {
    return this.takeAll().reduce((sum, chunk) => sum + chunk.byteLength, 0)
  }

  /** Drops what nobody reads, if the socket had to pause. A later read fails, because bytes are missing. */
  throwAway(): void {
    if (!this.#isFull) return
    this.#failure ??= new Error('bytes that came after the end were thrown away')
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
