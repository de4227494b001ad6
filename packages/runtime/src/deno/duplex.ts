/** A connection of Deno as the engine's Duplex: in clear, and then maybe TLS. */
import { type Duplex, EarlyBytesError, type Endpoint, type TlsInfo } from '@postern/engine'
import { linger, type Lingering } from '../common/linger.ts'
import { Received } from '../common/received.ts'
import { tlsInfo } from '../sockets/tls/info.ts'
import { connectionClosed, type Wait } from '../common/wait.ts'
import type { DenoConnection } from './api.ts'
import type { Carrier, Sink } from './carrier.ts'
import { Clear } from './clear.ts'
import type { Handshake } from './handshake.ts'
import { Secure } from './secure.ts'
import { Ciphertext } from './ciphertext.ts'

/** What connections of one listener, or of one dialler, have in common. */
export interface DenoDuplexDeps {
  /** Makes the TLS handshake, on whichever side this is. */
  readonly handshake: Handshake | undefined
  readonly lingerMs: number
}

export class DenoDuplex implements Duplex {
  startTls: ((received?: Uint8Array) => Promise<TlsInfo>) | undefined
  readonly remote: Endpoint
  readonly local: Endpoint
  tls: TlsInfo | undefined

  readonly #settings: DenoDuplexDeps
  readonly #clear: Clear
  #carrier: Carrier
  readonly #received: Received = new Received()
  readonly #sink: Sink
  #writing: Wait<void> | undefined
  /** The promise of `end`. */
  #ended: Promise<void> | undefined
  #ending: Wait<void> | undefined
  #stopLingering: (() => void) | undefined
  #isClosed = false

  constructor(connection: DenoConnection, settings: DenoDuplexDeps, remote: Endpoint, local: Endpoint) {
    this.#settings = settings
    this.remote = remote
    this.local = local
    if (settings.handshake !== undefined) this.startTls = this.#startTls
    const received = this.#received
    this.#sink = {
      data: (bytes) => received.push(bytes),
      end: () => received.end(),
      drain: () => this.#onDrain(),
      error: (error) => {
        if (!received.isEnded) this.#fail(error)
      },
      close: () => this.#onClose(),
    }
    this.#carrier = this.#clear = received.source = new Clear(connection, this.#sink)
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    return this.#received.read()
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(new Error('write after end'))
    if (this.#isClosed) return Promise.reject(this.#received.failure ?? connectionClosed())
    if (this.#carrier.write(bytes)) return
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
    this.#received.takeAll()
    this.#fail(reason ?? new Error('the connection was destroyed'))
    this.#carrier.close()
    this.#clear.close()
    this.#onClose()
  }

  #onDrain(): void {
    this.#writing?.resolve()
    this.#writing = undefined
  }

  // The end of it

  #end(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    // Who does not wait for the close need not hear how it went.
    promise.catch(() => {})
    this.#ending = { resolve, reject }
    if (this.#isClosed) {
      this.#settleWrites()
      return promise
    }
    this.#carrier.finish()
    this.#stopLingering = linger(this.#lingering(), this.#settings.lingerMs)
    return promise
  }

  #lingering(): Lingering {
    const received = this.#received
    return {
      unsentBytes: () => this.#carrier.unsentBytes,
      wasRead: () => received.takeWasRead(),
      throwAway: () => received.throwAway(),
      giveUp: () => this.#carrier.close(),
    }
  }

  /** After our own end, that the connection broke is no news to a reader. */
  #fail(error: Error): void {
    if (this.#ended === undefined) this.#received.fail(error)
  }

  #onClose(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stopLingering?.()
    if (!this.#received.isEnded) this.#fail(connectionClosed())
    this.#received.close()
    this.#settleWrites()
  }

  /** The last write and `end` went well if all was sent, whatever became of the connection then. */
  #settleWrites(): void {
    for (const wait of [this.#writing, this.#ending]) {
      if (this.#carrier.isFinished) wait?.resolve()
      else wait?.reject(this.#received.failure ?? connectionClosed())
    }
    this.#writing = this.#ending = undefined
  }

  // TLS

  async #startTls(received?: Uint8Array): Promise<TlsInfo> {
    const { handshake } = this.#settings
    if (this.#received.isReading) throw new Error('startTls while a read is pending')
    const { isEnded, failure } = this.#received
    if (this.#isClosed || isEnded) throw failure ?? connectionClosed()
    if (handshake === undefined) throw new Error('this connection cannot become TLS')
    if (received === undefined) this.#refuseEarly()
    this.startTls = undefined
    // From here on nothing that arrives comes to us in clear: also what fills the buffer that waits now is the handshake's.
    const ciphertext = new Ciphertext(
      this.#clear,
      received === undefined ? [] : [received, ...this.#received.takeAll()],
    )
    try {
      const socket = await handshake(ciphertext)
      if (this.#isClosed) throw connectionClosed()
      this.tls = tlsInfo(socket)
      this.#carrier = this.#received.source = new Secure(socket, ciphertext, this.#sink)
      return this.tls
    } catch (error) {
      this.destroy(error as Error)
      ciphertext.destroy()
      throw this.#received.failure ?? error
    }
  }

  /** Drops what was received. @throws EarlyBytesError, where there was anything */
  #refuseEarly(): void {
    const byteLength = this.#received.takeAll().reduce((sum, chunk) => sum + chunk.byteLength, 0)
    if (byteLength === 0) return
    this.#carrier.resume()
    throw new EarlyBytesError(byteLength)
  }
}
