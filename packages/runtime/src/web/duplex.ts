/**
 * A pair of Web streams as the engine's Duplex.
 *
 * It reads ahead: so a read answers at once where bytes have come, and an end or a failure is seen while nobody reads. What
 * waits unread is bounded by bytes, whatever the streams' own strategies say, and past the bound nothing is pulled. A
 * write is over when the sink has taken it: one is under way at a time, so what waits there is bounded too.
 *
 * It keeps nothing outside of the object and starts no timer but after `end`: where everything belongs to one request, as
 * on workerd, a connection touches only what is its own.
 */
import type { Duplex, Endpoint, TlsInfo } from '@postern/engine'
import { checkDurations } from '../common/duration.ts'
import { UNKNOWN_ENDPOINT } from '../common/endpoint.ts'
import { linger, type Lingering } from '../common/linger.ts'
import { Received } from '../common/received.ts'
import { connectionClosed, type Wait } from '../common/wait.ts'
import { fillingReader, type StreamReader } from './filling.ts'

/** The two directions of a connection, in bytes. */
export interface StreamPair {
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
}

/** How a StreamDuplex is to treat streams that are more than streams. */
export interface StreamManners {
  /** True: of a byte stream it reads into buffers of its own, which grow with the stream's pace. Default false. */
  readonly isFilling?: boolean
  /** False: nothing is pulled but for a read that waits, until `end`. Default true. */
  readonly isReadAhead?: boolean
  /** Ends both directions at once. Default: cancels the readable and aborts the writable. */
  readonly abandon?: () => void
}

/** What is known of a connection besides its bytes. */
export interface ConnectionFacts {
  /** Default: nowhere. */
  readonly remote?: Endpoint | undefined
  readonly local?: Endpoint | undefined
  /** What carries the streams is TLS already. */
  readonly tls?: TlsInfo | undefined
  /** After `end`: closes when nothing has moved for so long. Default 5,000. */
  readonly lingerMs?: number | undefined
}

export class StreamDuplex implements Duplex {
  readonly remote: Endpoint
  readonly local: Endpoint
  readonly tls: TlsInfo | undefined

  readonly #lingerMs: number
  readonly #reader: StreamReader
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>
  readonly #received: Received = new Received()
  readonly #abandon: (() => void) | undefined
  /** From `end` on it is so: somebody must see the peer's. */
  #isReadAhead: boolean
  #isPulling = false
  /** The write under way. */
  #writing: Wait<void> | undefined
  #unsentBytes = 0
  /** The promise of `end`. */
  #ended: Promise<void> | undefined
  #ending: Wait<void> | undefined
  #stopLingering: (() => void) | undefined
  /** All that was written, and our end, has been taken. */
  #isFinished = false
  #isClosed = false

  /** Locks both streams. @throws TypeError where one is locked, RangeError */
  constructor({ readable, writable }: StreamPair, facts: ConnectionFacts, manners: StreamManners = {}) {
    const { remote = UNKNOWN_ENDPOINT, local = UNKNOWN_ENDPOINT, tls, lingerMs = 5_000 } = facts
    checkDurations({ lingerMs })
    this.remote = remote
    this.local = local
    this.tls = tls
    this.#lingerMs = lingerMs
    this.#isReadAhead = manners.isReadAhead ?? true
    this.#abandon = manners.abandon
    this.#reader = manners.isFilling === true ? fillingReader(readable) : readable.getReader()
    this.#writer = writable.getWriter()
    // A sink that breaks while nothing is written is a connection that broke.
    this.#writer.closed.catch(this.#onError)
    this.#reader.closed.catch(() => {})
    this.#received.source = { resume: () => this.#pull() }
    if (this.#isReadAhead) this.#pull()
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    const answer = this.#received.read()
    if (!this.#isReadAhead && answer instanceof Promise) this.#pull()
    return answer
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(new Error('write after end'))
    if (this.#isClosed) return Promise.reject(this.#received.failure ?? connectionClosed())
    // To a byte stream a chunk of nothing is an error.
    if (bytes.byteLength === 0) return
    this.#unsentBytes = bytes.byteLength
    this.#writer.write(bytes).then(this.#onWritten, this.#onError)
    return new Promise(this.#wait)
  }

  end(): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  destroy(reason?: Error): void {
    if (this.#isClosed) return
    this.#received.takeAll()
    this.#close(reason ?? new Error('the connection was destroyed'))
  }

  /**
   * Gives both streams back, for something else to be put on top of them. Not while a write is under way, nor where it
   * reads ahead. Here the connection is closed from then on. @throws Error
   */
  release(): void {
    if (this.#isClosed || this.#received.isEnded) throw this.#received.failure ?? connectionClosed()
    if (this.#isPulling || this.#writing !== undefined) throw new Error('a read or a write is pending')
    this.#isClosed = true
    this.#received.fail(connectionClosed())
    this.#received.close()
    this.#reader.releaseLock()
    this.#writer.releaseLock()
  }

  // Reading

  #pull(): void {
    if (this.#isPulling || this.#isClosed || this.#received.isEnded) return
    this.#isPulling = true
    this.#reader.read().then(this.#onChunk, this.#onError)
  }

  readonly #onChunk = ({ done, value }: { done: boolean; value?: unknown }): void => {
    this.#isPulling = false
    if (this.#isClosed) return
    if (done) return this.#onEnd()
    if (!(value instanceof Uint8Array)) return this.#onError(new TypeError('the readable gave what is no Uint8Array'))
    // A chunk of nothing is not an answer.
    const isRoomLeft = value.byteLength === 0 || this.#received.push(this.#reader.own?.(value) ?? value)
    if (value.byteLength === 0 || (isRoomLeft && this.#isReadAhead)) this.#pull()
  }

  #onEnd(): void {
    this.#received.end()
    if (this.#isFinished) this.#close(connectionClosed())
  }

  // Writing

  readonly #wait = (resolve: () => void, reject: (error: Error) => void): void => {
    this.#writing = { resolve, reject }
  }

  readonly #onWritten = (): void => {
    this.#unsentBytes = 0
    this.#writing?.resolve()
    this.#writing = undefined
  }

  #end(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    // Who does not wait for the close need not hear how it went.
    promise.catch(() => {})
    this.#ending = { resolve, reject }
    if (this.#isClosed) {
      this.#settleWrites(connectionClosed())
      return promise
    }
    this.#stopLingering = linger(this.#lingering(), this.#lingerMs)
    this.#isReadAhead = true
    this.#pull()
    this.#writer.close().then(this.#onFinished, this.#onError)
    return promise
  }

  readonly #onFinished = (): void => {
    this.#isFinished = true
    if (this.#received.isEnded) this.#close(connectionClosed())
  }

  #lingering(): Lingering {
    const received = this.#received
    return {
      unsentBytes: () => this.#unsentBytes,
      wasRead: () => received.takeWasRead(),
      throwAway: () => received.throwAway(),
      giveUp: () => this.#close(connectionClosed()),
    }
  }

  // The end of it

  /** Either stream broke. What it says may be anything: a reason is whatever somebody cancelled with. */
  readonly #onError = (reason: unknown): void => {
    this.#close(reason instanceof Error ? reason : connectionClosed())
  }

  #close(reason: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stopLingering?.()
    // To a reader that has the peer's end, or whose own writing has ended, it is no news that the connection broke.
    if (!this.#received.isEnded && this.#ended === undefined) this.#received.fail(reason)
    this.#received.close()
    this.#giveUp(reason)
    this.#settleWrites(reason)
  }

  #giveUp(reason: Error): void {
    if (this.#abandon !== undefined) return this.#abandon()
    if (!this.#received.isEnded) this.#reader.cancel(reason).catch(() => {})
    if (!this.#isFinished) this.#writer.abort(reason).catch(() => {})
  }

  /** The last write and `end` went well if all was taken, whatever became of the connection then. */
  #settleWrites(reason: Error): void {
    for (const wait of [this.#writing, this.#ending]) {
      if (this.#isFinished) wait?.resolve()
      else wait?.reject(this.#received.failure ?? reason)
    }
    this.#writing = this.#ending = undefined
  }
}
