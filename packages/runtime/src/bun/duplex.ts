/**
 * A socket of Bun as the engine's Duplex.
 *
 * Bun calls back with a chunk, which goes straight to the read that waits for it. `write` takes as much as the system does:
 * the rest stays here until 'drain', and the writer waits. TLS is the same socket upgraded: the one in clear then still
 * sees ciphertext, and what it calls back with no duplex at hand is passed over.
 */
import { type Duplex, EarlyBytesError, type Endpoint, type TlsInfo } from '@postern/engine'
import { linger, type Lingering } from '../common/linger.ts'
import { Received } from '../common/received.ts'
import { connectionClosed, type Wait } from '../common/wait.ts'
import type { BunSocket, NativeContext, SocketHandlers } from './api.ts'
import type { TlsSide } from './tls-side.ts'
import { tlsInfo } from './tls-info.ts'

/** What connections of one listener, or of one dialler, have in common. */
export interface BunDuplexDeps {
  /** How the next handshake is made, on whichever side this is. */
  readonly tls: (() => TlsSide) | undefined
  readonly lingerMs: number
}

/** Of a socket: its duplex, or nothing once the socket lies under TLS. */
export type Attached = BunDuplex | undefined

export class BunDuplex implements Duplex {
  startTls: ((received?: Uint8Array) => Promise<TlsInfo>) | undefined
  readonly remote: Endpoint
  readonly local: Endpoint
  tls: TlsInfo | undefined

  readonly #settings: BunDuplexDeps
  #socket: BunSocket<Attached>
  readonly #received: Received = new Received()
  /** What was written and not taken yet; `#writing` waits for it. */
  #unsent: Uint8Array | undefined
  #writing: Wait<void> | undefined
  #flushing: Wait<void> | undefined
  #side: TlsSide | undefined
  #handshake: Wait<void> | undefined
  /** The promise of `end`. */
  #ended: Promise<void> | undefined
  #ending: Wait<void> | undefined
  #stopLingering: (() => void) | undefined
  /** All that was written has left, and so has our end. */
  #isFinished = false
  #isClosed = false

  constructor(socket: BunSocket<Attached>, settings: BunDuplexDeps, remote: Endpoint, local: Endpoint) {
    this.#settings = settings
    this.#socket = this.#received.source = socket
    this.remote = remote
    this.local = local
    socket.data = this
    socket.setNoDelay(true)
    if (settings.tls !== undefined) this.startTls = this.#startTls
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    return this.#received.read()
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(new Error('write after end'))
    if (this.#isClosed) return Promise.reject(this.#received.failure ?? connectionClosed())
    if (this.#send(bytes)) return
    return new Promise((resolve, reject) => {
      this.#writing = { resolve, reject }
      // The socket may have found out that it is closed.
      if (this.#isClosed) this.#settleWrites()
    })
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

  // What the socket calls back

  onData(bytes: Uint8Array): void {
    if (!this.#received.push(bytes)) this.#socket.pause()
  }

  onEnd(): void {
    if (this.#handshake === undefined) this.#received.end()
    // Half of a connection is no use here yet.
    else this.#close(new Error('the connection was closed in the TLS handshake'))
  }

  onDrain(): void {
    const unsent = this.#unsent
    if (unsent === undefined) return
    this.#unsent = undefined
    if (!this.#send(unsent)) return
    this.#writing?.resolve()
    this.#flushing?.resolve()
    this.#writing = this.#flushing = undefined
    if (this.#ended !== undefined) this.#finish()
  }

  onHandshake(isDone: boolean, error: Error | null): void {
    const refusal = this.#side?.refusal(this.#socket, isDone, error)
    if (refusal !== undefined) return this.#close(refusal)
    this.#handshake?.resolve()
    this.#handshake = undefined
  }

  onError(error: Error): void {
    if (!this.#isClosed) this.#close(error)
  }

  contextFor(name: string): NativeContext | undefined {
    return this.#side?.contextFor(name)
  }

  onClose(error?: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stopLingering?.()
    const { failure, isEnded } = this.#received
    // After our own end, that the connection broke is no news to a reader.
    if (!isEnded && this.#ended === undefined) this.#received.fail(error ?? connectionClosed())
    this.#received.close()
    this.#handshake?.reject(failure ?? error ?? connectionClosed())
    this.#flushing?.reject(failure ?? error ?? connectionClosed())
    this.#handshake = this.#flushing = undefined
    this.#settleWrites(error)
  }

  // Writing

  /** False where the system did not take all: the rest waits for 'drain'. */
  #send(bytes: Uint8Array): boolean {
    // TLS would make a record of nothing.
    if (bytes.byteLength === 0) return true
    const taken = this.#socket.write(bytes)
    if (taken === bytes.byteLength) return true
    this.#unsent = taken > 0 ? bytes.subarray(taken) : bytes
    if (taken < 0) this.#close(connectionClosed())
    return false
  }

  #finish(): void {
    this.#isFinished = true
    this.#socket.shutdown()
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
    this.#stopLingering = linger(this.#lingering(), this.#settings.lingerMs)
    if (this.#unsent === undefined) this.#finish()
    return promise
  }

  #lingering(): Lingering {
    const received = this.#received
    return {
      unsentBytes: () => this.#unsent?.byteLength ?? 0,
      wasRead: () => received.takeWasRead(),
      throwAway: () => received.throwAway(),
      giveUp: () => this.#close(connectionClosed()),
    }
  }

  // The end of it

  #close(reason: Error): void {
    this.onClose(reason)
    this.#socket.close()
  }

  /** The last write and `end` went well if all was sent, whatever became of the connection then. */
  #settleWrites(error?: Error): void {
    for (const wait of [this.#writing, this.#ending]) {
      if (this.#isFinished) wait?.resolve()
      else wait?.reject(this.#received.failure ?? error ?? connectionClosed())
    }
    this.#writing = this.#ending = this.#unsent = undefined
  }

  // TLS

  async #startTls(received?: Uint8Array): Promise<TlsInfo> {
    const { tls } = this.#settings
    const { isReading, isEnded, failure } = this.#received
    if (isReading) throw new Error('startTls while a read is pending')
    if (this.#isClosed || isEnded) throw failure ?? connectionClosed()
    if (tls === undefined) throw new Error('this connection cannot become TLS')
    if (received === undefined) this.#refuseEarly()
    if (this.#unsent !== undefined) await this.#flush()
    if (received === undefined) this.#refuseEarly()
    this.startTls = undefined
    try {
      await this.#upgrade(tls(), received)
    } catch (error) {
      this.destroy(error as Error)
      throw error
    }
    this.tls = tlsInfo(this.#socket)
    return this.tls
  }

  /** Drops what was received. What the kernel has not given us yet is the handshake's. @throws EarlyBytesError */
  #refuseEarly(): void {
    const bytes = this.#received.takeAll().reduce((sum, chunk) => sum + chunk.byteLength, 0)
    if (bytes === 0) return
    this.#socket.resume()
    throw new EarlyBytesError(bytes)
  }

  /** Waits until all that was written has left, and takes nothing in meanwhile. */
  #flush(): Promise<void> {
    this.#socket.pause()
    return new Promise((resolve, reject) => {
      this.#flushing = { resolve, reject }
    })
  }

  #upgrade(side: TlsSide, received: Uint8Array | undefined): Promise<void> {
    const raw = this.#socket
    const initialData = received && Buffer.concat([received, ...this.#received.takeAll()])
    return new Promise((resolve, reject) => {
      this.#side = side
      this.#handshake = { resolve, reject }
      const [under, secure] = raw.upgradeTLS<Attached>({
        data: this,
        isServer: side.isServer,
        tls: side.tls,
        socket: HANDLERS,
        ...(initialData === undefined ? {} : { initialData }),
      })
      under.data = raw.data = undefined
      this.#socket = this.#received.source = secure
      secure.resume()
    })
  }
}

/** For every socket that has a duplex, in clear or under TLS. */
export const HANDLERS: SocketHandlers<Attached> = {
  data: ({ data }, bytes) => data?.onData(bytes),
  drain: ({ data }) => data?.onDrain(),
  end: ({ data }) => data?.onEnd(),
  close: ({ data }, error) => data?.onClose(error),
  error: ({ data }, error) => data?.onError(error),
  handshake: ({ data }, isDone, error) => data?.onHandshake(isDone, error),
  serverName: (data, name) => data?.contextFor(name),
}
