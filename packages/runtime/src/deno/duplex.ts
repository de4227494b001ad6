/** A connection of Deno as the engine's Duplex: in clear, and possibly TLS later. */
import { type Duplex, EarlyBytesError, type Endpoint, type TlsInfo } from '@postern/engine'
import { BaseDuplex } from '../common/duplex.ts'
import { connectionClosed } from '../common/wait.ts'
import { tlsInfo } from '../sockets/tls/info.ts'
import { olderChain } from '../sockets/tls/peer-certificate.ts'
import type { DenoConnection } from './api.ts'
import type { Carrier, Sink } from './carrier.ts'
import { Ciphertext } from './ciphertext.ts'
import { Clear } from './clear.ts'
import type { Handshake } from './handshake.ts'
import { Secure } from './secure.ts'

/** What all connections of one listener, or of one dialler, share. */
export interface DenoDuplexDeps {
  /** Makes the TLS handshake, as server or as client. */
  readonly handshake: Handshake | undefined
  readonly lingerMs: number
}

export class DenoDuplex extends BaseDuplex {
  readonly remote: Endpoint
  readonly local: Endpoint

  readonly #handshake: Handshake | undefined
  readonly #clear: Clear
  #carrier: Carrier
  readonly #sink: Sink
  peerCertificates: Duplex['peerCertificates']

  constructor(connection: DenoConnection, { handshake, lingerMs }: DenoDuplexDeps, remote: Endpoint, local: Endpoint) {
    super(lingerMs)
    this.#handshake = handshake
    this.remote = remote
    this.local = local
    if (handshake !== undefined) this.startTls = this.#startTls
    const { received } = this
    this.#sink = {
      data: (bytes) => received.push(bytes),
      end: () => received.end(),
      drain: () => this.sent(),
      error: (error) => this.failed(error),
      close: () => this.closed(),
    }
    this.#carrier = this.#clear = received.source = new Clear(connection, this.#sink)
  }

  protected override send(bytes: Uint8Array): boolean {
    return this.#carrier.write(bytes)
  }

  protected override finish(): void {
    this.#carrier.finish()
  }

  protected override abandon(): void {
    this.#carrier.close()
    this.#clear.close()
  }

  protected override get unsentBytes(): number {
    return this.#carrier.unsentBytes
  }

  protected override get isFinished(): boolean {
    return this.#carrier.isFinished
  }

  async #startTls(received?: Uint8Array): Promise<TlsInfo> {
    this.checkTls()
    const handshake = this.#handshake
    if (handshake === undefined) throw new Error('this connection cannot become TLS')
    if (received === undefined) this.#refuseEarly()
    // From here on, arriving bytes belong to the handshake. That includes the bytes of the connection's pending read.
    const begun = received === undefined ? [] : [received, ...this.received.takeAll()]
    const ciphertext = new Ciphertext(this.#clear, begun, () => this.sent())
    return this.secure(async () => {
      const socket = await handshake(ciphertext)
      if (this.isClosed) throw connectionClosed()
      const info = tlsInfo(socket)
      this.peerCertificates = () => olderChain(socket.getPeerCertificate(true))
      this.#carrier = this.received.source = new Secure(socket, ciphertext, this.#sink)
      return info
    })
  }

  /**
   * Drops what was received.
   * @throws EarlyBytesError if anything was received
   */
  #refuseEarly(): void {
    const byteLength = this.received.drop()
    if (byteLength === 0) return
    this.#carrier.resume()
    throw new EarlyBytesError(byteLength)
  }
}
