/**
 * A socket of Node as the engine's Duplex.
 *
 * 'data' events hand a chunk straight to the read that waits for it; what nobody waits for is kept, and past a mark the
 * socket is paused. On one core this costs 1.02 times bare callbacks; 'readable' events with `socket.read()` cost 1.07.
 *
 * After `end` the peer may go on sending, and somebody may go on reading it. Where nobody does, the peer must neither wait
 * for a reader that has left, nor be reset while our last bytes are on their way to it: what it sends is then thrown away,
 * until it ends too, or until nothing has moved for `lingerMs`.
 */
import { type Duplex, EarlyBytesError, type Endpoint, type TlsInfo } from '@postern/engine'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { localEndpoint } from './endpoint.ts'
import { tlsInfo } from './tls-info.ts'

/** Bytes that may wait unread before the socket is paused. */
const HIGH_WATER_MARK = 65_536
/** What a chunk of one byte costs all the same: many tiny packets must not cost more than they count for. */
const MIN_CHUNK_COST = 256

/** How often in `lingerMs` it is looked whether anything moves; after two looks that saw nobody read, nobody does. */
const LINGER_LOOKS = 5

/** What Node keeps of its own, in each direction, for a socket that is made here. */
export const SOCKET_BUFFER_BYTES = 16_384

/** What connections of one listener, or of one dialler, have in common. */
export interface SocketSettings {
  /** Makes the TLS handshake, on whichever side this is. */
  readonly handshake: ((socket: Socket) => Promise<TLSSocket>) | undefined
  readonly lingerMs: number
}

interface Wait<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

export class SocketDuplex implements Duplex {
  startTls: (() => Promise<TlsInfo>) | undefined
  readonly remote: Endpoint
  tls: TlsInfo | undefined

  readonly #settings: SocketSettings
  #socket: Socket
  #local: Endpoint | undefined
  /** Received and not read. */
  readonly #chunks: Uint8Array[] = []
  #unreadCost = 0
  #resolveRead: ((bytes: Uint8Array | null) => void) | undefined
  #rejectRead: ((error: Error) => void) | undefined
  #writing: Wait<void> | undefined
  /** The promise of `end`. */
  #ended: Promise<void> | undefined
  #ending: Wait<void> | undefined
  #linger: ReturnType<typeof setTimeout> | undefined
  /** Since the last look. */
  #wasRead = false
  #isPaused = false
  #isDiscarding = false
  #isPeerEnded = false
  #isClosed = false
  /** What reads reject with, once the chunks are gone. */
  #failure: Error | undefined

  /** @param local Where the caller knows it; else it is asked of the socket when somebody wants to know. */
  constructor(socket: Socket, settings: SocketSettings, remote: Endpoint, local?: Endpoint) {
    this.#settings = settings
    this.#socket = socket
    this.#local = local
    this.remote = remote
    socket.on('error', this.#onError)
    this.#hold(socket)
    if (socket instanceof TLSSocket) this.tls = tlsInfo(socket)
    else if (settings.handshake !== undefined) this.startTls = this.#startTls
  }

  get local(): Endpoint {
    this.#local ??= localEndpoint(this.#socket)
    return this.#local
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    this.#wasRead = true
    if (this.#chunks.length > 0) return this.#take()
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#isPeerEnded || this.#isClosed) return null
    return new Promise(this.#waitForBytes)
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(new Error('write after end'))
    if (this.#isClosed) return Promise.reject(this.#failure ?? closed())
    if (this.#socket.write(bytes)) return
    this.#socket.once('drain', this.#onDrain)
    return new Promise((resolve, reject) => {
      this.#writing = { resolve, reject }
    })
  }

  end(): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  destroy(reason?: Error): void {
    if (this.#isClosed) return
    this.#discard()
    this.#fail(reason ?? new Error('the connection was destroyed'))
    this.#socket.destroy()
    this.#onClose()
  }

  #hold(socket: Socket): void {
    socket.allowHalfOpen = true
    socket.setNoDelay(true)
    socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('close', this.#onClose)
    // A socket that its owner paused does not begin by itself.
    if (socket.isPaused()) socket.resume()
    // What happened before nobody tells again.
    if (socket.readableEnded) this.#onEnd()
    if (socket.destroyed) this.#onClose()
  }

  // Reading

  readonly #waitForBytes = (resolve: (bytes: Uint8Array | null) => void, reject: (error: Error) => void): void => {
    this.#resolveRead = resolve
    this.#rejectRead = reject
  }

  readonly #onData = (chunk: Uint8Array): void => {
    if (this.#isDiscarding) return
    const resolve = this.#resolveRead
    if (resolve !== undefined) {
      this.#resolveRead = undefined
      return resolve(chunk)
    }
    this.#chunks.push(chunk)
    this.#unreadCost += cost(chunk)
    if (this.#unreadCost < HIGH_WATER_MARK) return
    this.#isPaused = true
    this.#socket.pause()
  }

  #take(): Uint8Array {
    const chunk = this.#chunks.shift() as Uint8Array
    this.#unreadCost -= cost(chunk)
    if (this.#isPaused && this.#unreadCost < HIGH_WATER_MARK) this.#resume()
    return chunk
  }

  #resume(): void {
    this.#isPaused = false
    this.#socket.resume()
  }

  #discard(): void {
    this.#chunks.length = 0
    this.#unreadCost = 0
  }

  /** Nobody reads any more. Should someone do so after all, the gap must not go unseen. */
  #throwAway(): void {
    this.#failure ??= new Error('bytes that came after the end were thrown away')
    this.#isDiscarding = true
    this.#discard()
    this.#resume()
  }

  readonly #onEnd = (): void => {
    this.#isPeerEnded = true
    this.#resolveRead?.(null)
    this.#resolveRead = undefined
  }

  // Writing

  readonly #onDrain = (): void => {
    this.#writing?.resolve()
    this.#writing = undefined
  }

  #end(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    // Who does not wait for the close need not hear how it went.
    promise.catch(() => {})
    this.#ending = { resolve, reject }
    if (this.#isClosed) {
      this.#settleWrites()
      return promise
    }
    this.#socket.end()
    this.#wasRead = false
    this.#lingerOn(LINGER_LOOKS, this.#socket.writableLength)
    return promise
  }

  /** Waits for the close as long as the peer takes what was written, or somebody reads what it sends. */
  #lingerOn(looksLeft: number, unsentBytes: number): void {
    this.#linger = setTimeout(() => {
      const { writableLength } = this.#socket
      const isMoving = writableLength < unsentBytes || this.#wasRead
      this.#wasRead = false
      if (!isMoving && this.#isPaused && looksLeft < LINGER_LOOKS) this.#throwAway()
      if (!isMoving && looksLeft === 1) this.#socket.destroy()
      else this.#lingerOn(isMoving ? LINGER_LOOKS : looksLeft - 1, writableLength)
    }, this.#settings.lingerMs / LINGER_LOOKS)
  }

  // The end of it

  readonly #onError = (error: Error): void => {
    if (!this.#isPeerEnded) this.#fail(error)
    // After its handshake, TLS tells of an error and does nothing about it.
    this.#socket.destroy()
  }

  /** After our own end, that the connection broke is no news to a reader. */
  #fail(error: Error): void {
    if (this.#ended === undefined) this.#failure ??= error
  }

  readonly #onClose = (): void => {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#linger)
    if (!this.#isPeerEnded) this.#fail(closed())
    if (this.#failure === undefined) this.#resolveRead?.(null)
    else if (this.#resolveRead !== undefined) this.#rejectRead?.(this.#failure)
    this.#resolveRead = this.#rejectRead = undefined
    this.#settleWrites()
  }

  /** The last write and `end` went well if all was sent, whatever became of the connection then. */
  #settleWrites(): void {
    const { writableFinished, errored } = this.#socket
    for (const wait of [this.#writing, this.#ending]) {
      if (writableFinished) wait?.resolve()
      else wait?.reject(this.#failure ?? errored ?? closed())
    }
    this.#writing = this.#ending = undefined
  }

  // TLS

  async #startTls(): Promise<TlsInfo> {
    const raw = this.#socket
    const { handshake } = this.#settings
    if (this.#resolveRead !== undefined) throw new Error('startTls while a read is pending')
    if (this.#isClosed || this.#isPeerEnded) throw this.#failure ?? closed()
    if (handshake === undefined) throw new Error('this connection cannot become TLS')
    // From here on, nothing that arrives may come to us in clear; what the kernel has not given us yet is the handshake's.
    raw.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose)
    raw.pause()
    const earlyBytes = this.#takeEarly(raw)
    if (earlyBytes > 0) {
      this.#isPaused = false
      this.#hold(raw)
      throw new EarlyBytesError(earlyBytes)
    }
    this.startTls = undefined
    try {
      const socket = await handshake(raw)
      if (this.#isClosed) throw this.#failure ?? closed()
      this.#socket = socket
      socket.on('error', this.#onError)
      this.#hold(socket)
      this.tls = tlsInfo(socket)
      return this.tls
    } catch (error) {
      this.destroy(error as Error)
      throw error
    }
  }

  /** Drops what was received, here and in the socket's own buffer, and counts it. */
  #takeEarly(raw: Socket): number {
    let bytes = this.#chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
    this.#discard()
    for (let chunk = raw.read(); chunk !== null; chunk = raw.read()) bytes += chunk.byteLength
    return bytes
  }
}

function cost(chunk: Uint8Array): number {
  return Math.max(chunk.byteLength, MIN_CHUNK_COST)
}

function closed(): Error {
  return new Error('the connection was closed')
}
