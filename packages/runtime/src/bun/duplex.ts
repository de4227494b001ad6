/**
 * A Bun socket as the engine's Duplex.
 * Bun calls back with a chunk, which goes straight to the read that waits for it. `write` takes as much as the system
 * takes. The rest stays here until 'drain', and the writer waits.
 * TLS is the same socket, upgraded. The clear socket underneath then still calls back, with ciphertext. It has no
 * duplex any more, so its callbacks do nothing.
 */
import { type Duplex, EarlyBytesError, type Endpoint, type TlsInfo } from '@postern/engine'
import { BaseDuplex } from '../common/duplex.ts'
import type { Wait } from '../common/wait.ts'
import type { BunSocket, NativeContext, SocketHandlers } from './api.ts'
import { canBind, channelBinding } from '../sockets/tls/channel-binding.ts'
import { olderChain } from '../sockets/tls/peer-certificate.ts'
import { tlsInfo } from './tls-info.ts'
import type { TlsSide } from './tls-side.ts'

/** What all connections of one listener, or of one dialler, share. */
export interface BunDuplexDeps {
  /** Returns how to make the next handshake, as server or as client. */
  readonly tls: (() => TlsSide) | undefined
  readonly lingerMs: number
}

/** What a socket holds: its duplex, or undefined when TLS runs on top of it. */
export type Attached = BunDuplex | undefined

export class BunDuplex extends BaseDuplex {
  readonly remote: Endpoint
  readonly local: Endpoint

  readonly #tls: BunDuplexDeps['tls']
  #socket: BunSocket<Attached>
  /** Bytes that were written and that the socket has not taken yet. */
  #unsent: Uint8Array | undefined
  /** `startTls` waits until all written bytes have left. */
  #flushing: Wait<void> | undefined
  #side: TlsSide | undefined
  #handshake: Wait<void> | undefined
  #isFinished = false

  constructor(socket: BunSocket<Attached>, { tls, lingerMs }: BunDuplexDeps, remote: Endpoint, local: Endpoint) {
    super(lingerMs)
    this.#tls = tls
    this.#socket = this.received.source = socket
    this.remote = remote
    this.local = local
    socket.data = this
    socket.setNoDelay(true)
    if (tls !== undefined) this.startTls = this.#startTls
  }

  // Callbacks of the socket

  onData(bytes: Uint8Array): void {
    if (!this.received.push(bytes)) this.#socket.pause()
  }

  onEnd(): void {
    if (this.#handshake === undefined) this.received.end()
    // A handshake needs both directions.
    else this.close(new Error('the connection was closed in the TLS handshake'))
  }

  onDrain(): void {
    const unsent = this.#unsent
    if (unsent === undefined) return
    this.#unsent = undefined
    if (!this.send(unsent)) return
    this.sent()
    this.#flushing?.resolve()
    this.#flushing = undefined
    if (this.isEnding) this.finish()
  }

  onHandshake(isDone: boolean, error: Error | null): void {
    const refusal = this.#side?.refusal(this.#socket, isDone, error)
    if (refusal !== undefined) return this.close(refusal)
    this.#handshake?.resolve()
    this.#handshake = undefined
  }

  onError(error: Error): void {
    this.close(error)
  }

  onClose(error?: Error): void {
    this.closed(error)
  }

  contextFor(name: string): NativeContext | undefined {
    return this.#side?.contextFor(name)
  }

  protected override send(bytes: Uint8Array): boolean {
    // TLS would send an empty record.
    if (bytes.byteLength === 0) return true
    const taken = this.#socket.write(bytes)
    if (taken === bytes.byteLength) return true
    this.#unsent = taken > 0 ? bytes.subarray(taken) : bytes
    if (taken < 0) this.close()
    return false
  }

  get channelBinding(): Duplex['channelBinding'] {
    return canBind(this.#socket, this.tls?.protocol) ? (type) => channelBinding(this.#socket, type) : undefined
  }

  get peerCertificates(): Duplex['peerCertificates'] {
    if (this.tls === undefined) return undefined
    return () => olderChain(this.#socket.getPeerCertificate(false) ?? {})
  }

  protected override finish(): void {
    if (this.#unsent !== undefined) return
    this.#isFinished = true
    this.#socket.shutdown()
  }

  protected override abandon(): void {
    this.#socket.close()
  }

  protected override get unsentBytes(): number {
    return this.#unsent?.byteLength ?? 0
  }

  protected override get isFinished(): boolean {
    return this.#isFinished
  }

  protected override cleanUp(): void {
    this.#unsent = undefined
    this.#handshake?.reject(this.closeReason)
    this.#flushing?.reject(this.closeReason)
    this.#handshake = this.#flushing = undefined
  }

  async #startTls(received?: Uint8Array): Promise<TlsInfo> {
    this.checkTls()
    const tls = this.#tls
    if (tls === undefined) throw new Error('this connection cannot become TLS')
    if (received === undefined) this.#refuseEarly()
    if (this.#unsent !== undefined) await this.#flush()
    if (received === undefined) this.#refuseEarly()
    return this.secure(async () => {
      const side = tls()
      await this.#upgrade(side, received)
      return tlsInfo(this.#socket, side)
    })
  }

  /**
   * Drops what was received. Bytes that the kernel still holds belong to the handshake.
   * @throws EarlyBytesError if anything was received
   */
  #refuseEarly(): void {
    const byteLength = this.received.drop()
    if (byteLength === 0) return
    this.#socket.resume()
    throw new EarlyBytesError(byteLength)
  }

  /** Waits until all written bytes have left, and accepts no new ones meanwhile. */
  #flush(): Promise<void> {
    this.#socket.pause()
    return new Promise((resolve, reject) => {
      this.#flushing = { resolve, reject }
    })
  }

  #upgrade(side: TlsSide, received: Uint8Array | undefined): Promise<void> {
    const raw = this.#socket
    const initialData = received && Buffer.concat([received, ...this.received.takeAll()])
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
      this.#socket = this.received.source = secure
      secure.resume()
    })
  }
}

/** The callbacks of every socket that has a duplex, in clear or under TLS. */
export const HANDLERS: SocketHandlers<Attached> = {
  data: ({ data }, bytes) => data?.onData(bytes),
  drain: ({ data }) => data?.onDrain(),
  end: ({ data }) => data?.onEnd(),
  close: ({ data }, error) => data?.onClose(error),
  error: ({ data }, error) => data?.onError(error),
  handshake: ({ data }, isDone, error) => data?.onHandshake(isDone, error),
  serverName: (data, name) => data?.contextFor(name),
}
