/**
 * A pair of Web streams as the engine's Duplex.
 * It reads ahead, so that a read returns at once if bytes have come. It also notices an end or a failure while nobody
 * reads. Unread bytes are bounded, whatever the streams' own strategies are: over the bound nothing is pulled. A write
 * is done when the sink has taken it. The duplex makes one write at a time, so the bytes that wait are bounded too.
 * On workerd, every object belongs to one request. So a duplex keeps nothing outside itself, and starts no timer before
 * `end`.
 */
import type { Endpoint, TlsInfo } from '@postern/engine'
import { BaseDuplex } from '../common/duplex.ts'
import { checkDurations } from '../common/duration.ts'
import { UNKNOWN_ENDPOINT } from '../common/endpoint.ts'
import { connectionClosed } from '../common/wait.ts'
import { fillingReader, type StreamReader } from './filling.ts'

/** The two directions of a connection, in bytes. */
export interface StreamPair {
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
}

/** How a StreamDuplex treats a socket's streams. */
export interface StreamManners {
  /** Reads a byte stream into buffers of its own, which grow when the stream is fast. Default false. */
  readonly isFilling?: boolean
  /** Reads before somebody asks. If false, it pulls only for a pending read, until `end`. Default true. */
  readonly isReadAhead?: boolean
  /** Closes both directions at once. Default: cancels the readable and aborts the writable. */
  readonly abandon?: () => void
}

/** What is known about a connection besides its bytes. */
export interface ConnectionFacts {
  /** Default: unknown. */
  readonly remote?: Endpoint | undefined
  readonly local?: Endpoint | undefined
  /** For streams that are already under TLS. */
  readonly tls?: TlsInfo | undefined
  /** After `end`, the connection is closed when nothing has moved for this time. Default 5,000. */
  readonly lingerMs?: number | undefined
}

export class StreamDuplex extends BaseDuplex {
  readonly remote: Endpoint
  readonly local: Endpoint

  readonly #reader: StreamReader
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>
  readonly #abandon: (() => void) | undefined
  /** True from `end` on, because the peer's end must be seen. */
  #isReadAhead: boolean
  #isPulling = false
  #unsentBytes = 0
  #isFinished = false

  /** Locks both streams. @throws TypeError if one is locked, RangeError */
  constructor({ readable, writable }: StreamPair, facts: ConnectionFacts, manners: StreamManners = {}) {
    const { remote = UNKNOWN_ENDPOINT, local = UNKNOWN_ENDPOINT, tls, lingerMs = 5_000 } = facts
    checkDurations({ lingerMs })
    super(lingerMs)
    this.remote = remote
    this.local = local
    this.tls = tls
    this.#isReadAhead = manners.isReadAhead ?? true
    this.#abandon = manners.abandon
    this.#reader = manners.isFilling === true ? fillingReader(readable) : readable.getReader()
    this.#writer = writable.getWriter()
    // If the sink breaks while nothing is written, the connection broke.
    this.#writer.closed.catch(this.#onError)
    this.#reader.closed.catch(() => {})
    this.received.source = { resume: () => this.#pull() }
    if (this.#isReadAhead) this.#pull()
  }

  override read(): Uint8Array | null | Promise<Uint8Array | null> {
    const answer = this.received.read()
    if (!this.#isReadAhead && answer instanceof Promise) this.#pull()
    return answer
  }

  /**
   * Unlocks both streams, so that something else can use them. After it, this duplex is closed.
   * @throws Error if the connection is closed or ended, or while a read or a write is pending. If the duplex reads
   *   ahead, a read is always pending.
   */
  release(): void {
    if (this.isClosed || this.received.isEnded) throw this.closeReason
    if (this.#isPulling || this.#unsentBytes > 0) throw new Error('a read or a write is pending')
    this.closed()
    this.#reader.releaseLock()
    this.#writer.releaseLock()
  }

  protected override send(bytes: Uint8Array): boolean {
    // A byte stream fails on an empty chunk.
    if (bytes.byteLength === 0) return true
    this.#unsentBytes = bytes.byteLength
    this.#writer.write(bytes).then(this.#onWritten, this.#onError)
    return false
  }

  protected override finish(): void {
    this.#isReadAhead = true
    this.#pull()
    this.#writer.close().then(this.#onFinished, this.#onError)
  }

  protected override abandon(reason: Error = connectionClosed()): void {
    if (this.#abandon !== undefined) return this.#abandon()
    if (!this.received.isEnded) this.#reader.cancel(reason).catch(() => {})
    if (!this.#isFinished) this.#writer.abort(reason).catch(() => {})
  }

  protected override get unsentBytes(): number {
    return this.#unsentBytes
  }

  protected override get isFinished(): boolean {
    return this.#isFinished
  }

  #pull(): void {
    if (this.#isPulling || this.isClosed || this.received.isEnded) return
    this.#isPulling = true
    this.#reader.read().then(this.#onChunk, this.#onError)
  }

  readonly #onChunk = ({ done, value }: { done: boolean; value?: unknown }): void => {
    this.#isPulling = false
    if (this.isClosed) return
    if (done) return this.#onEnd()
    if (!(value instanceof Uint8Array))
      return this.#onError(new TypeError('the readable gave a chunk that is not a Uint8Array'))
    // An empty chunk is no answer to a read.
    const isRoomLeft = value.byteLength === 0 || this.received.push(this.#reader.own?.(value) ?? value)
    if (value.byteLength === 0 || (isRoomLeft && this.#isReadAhead)) this.#pull()
  }

  #onEnd(): void {
    this.received.end()
    if (this.#isFinished) this.close()
  }

  readonly #onWritten = (): void => {
    this.#unsentBytes = 0
    this.sent()
  }

  readonly #onFinished = (): void => {
    this.#isFinished = true
    if (this.received.isEnded) this.close()
  }

  /**
   * Handles the failure of either stream. The reason may be any value, because somebody may have cancelled a stream
   * with it.
   */
  readonly #onError = (reason: unknown): void => {
    this.close(reason instanceof Error ? reason : undefined)
  }
}
