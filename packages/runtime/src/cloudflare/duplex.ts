/**
 * A workerd socket as the engine's Duplex: its two Web streams, and TLS if workerd can begin it.
 * A reader of workerd cannot be released while it reads. So the duplex reads nothing ahead as long as the connection
 * may become TLS. Bytes that a peer sends too early wait in the system. They go into the handshake, and break it.
 */
import type { Socket } from '@cloudflare/workers-types'
import type { Duplex, Endpoint, TlsInfo } from '@postern/engine'
import type { Wait } from '../common/wait.ts'
import { StreamDuplex, type StreamPair } from '../web/duplex.ts'
import { socketEndpoint } from './endpoint.ts'

export interface SocketOptions {
  /** The peer. Default: what the socket reports. A socket from RPC or a service binding reports nothing. */
  readonly remote?: Endpoint | undefined
  readonly local?: Endpoint | undefined
  /**
   * Set it if TLS ended before the Worker, because the socket does not report that. `NOT_TOLD` if nothing more is
   * known.
   */
  readonly tls?: TlsInfo | undefined
  /** After `end`, the connection is closed when nothing has moved for this time. Default 5,000. */
  readonly lingerMs?: number | undefined
}

/** The connection is TLS, but workerd does not report the details of the handshake. */
export const NOT_TOLD: TlsInfo = { protocol: '', cipher: '' }
/** The same for a connection that was dialled. workerd has checked the server's certificate, and tells nothing else of it. */
const CHECKED: TlsInfo = { ...NOT_TOLD, peerCertificate: { subject: '', issuer: '', fingerprint: '', verified: true } }

/**
 * Waits until a socket is open, and returns the peer's endpoint. Call it before you pass the socket on by RPC, because
 * RPC loses that information. Rejects if the socket never opens.
 */
export async function peerOf(socket: Socket): Promise<Endpoint> {
  return socketEndpoint((await socket.opened).remoteAddress)
}

/** The server of a connection that was dialled. */
export interface DialledServer {
  /**
   * The name that its certificate must have if TLS begins. Default: the name that the socket was opened with. workerd logs a warning for
   * each handshake with another name.
   */
  readonly name?: string | undefined
}

/**
 * Makes a duplex from a socket.
 * @param server Given if the socket was dialled
 */
export async function openDuplex(socket: Socket, options: SocketOptions, server?: DialledServer): Promise<Duplex> {
  // The reader or the writer gets the error.
  socket.closed.catch(() => {})
  const { remoteAddress, localAddress } = await socket.opened
  const remote = options.remote ?? socketEndpoint(remoteAddress)
  const local = options.local ?? socketEndpoint(localAddress)
  return new WorkerdDuplex(socket, { ...options, remote, local }, server)
}

class WorkerdDuplex implements Duplex {
  startTls: ((received?: Uint8Array) => Promise<TlsInfo>) | undefined
  tls: TlsInfo | undefined

  readonly #options: SocketOptions
  readonly #server: DialledServer | undefined
  #socket: Socket
  #stream: StreamDuplex
  #handshake: Wait<never> | undefined
  /** The last write. */
  #written: void | Promise<void> = undefined
  #onceClosed: (() => void) | undefined

  constructor(socket: Socket, options: SocketOptions, server: DialledServer | undefined) {
    const canStartTls = socket.secureTransport === 'starttls' && options.tls === undefined
    this.#options = options
    this.#server = server
    this.#socket = socket
    this.#stream = streamOf(socket, options, !canStartTls)
    this.tls = options.tls
    if (canStartTls) this.startTls = this.#startTls
  }

  get remote(): Endpoint {
    return this.#stream.remote
  }

  get local(): Endpoint {
    return this.#stream.local
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    return this.#stream.read()
  }

  write(bytes: Uint8Array): void | Promise<void> {
    this.#written = this.#stream.write(bytes)
    return this.#written
  }

  end(): Promise<void> {
    return this.#stream.end()
  }

  destroy(reason: Error = new Error('the connection was destroyed')): void {
    this.#handshake?.reject(reason)
    this.#stream.destroy(reason)
    // During a handshake, no stream uses the socket.
    close(this.#socket)
  }

  whenClosed(listener: () => void): void {
    this.#onceClosed = listener
    this.#stream.whenClosed(() => this.#tellClosed())
  }

  #tellClosed(): void {
    const listener = this.#onceClosed
    this.#onceClosed = undefined
    listener?.()
  }

  async #startTls(received?: Uint8Array): Promise<TlsInfo> {
    // workerd makes the handshake, and it cannot be given bytes that were already read.
    if (received !== undefined && received.byteLength > 0) throw new Error('the handshake has begun already')
    const clear = this.#socket
    this.startTls = undefined
    try {
      // The reply to STARTTLS must leave first. Nobody reads meanwhile, so the client's handshake waits in the system.
      await this.#written
      // The stream counts as closed when it is released, and the connection is not.
      this.#stream.whenClosed(() => {})
      this.#stream.release()
      const name = this.#server?.name
      const socket = clear.startTls(name === undefined ? {} : { expectedServerHostname: name })
      this.#socket = socket
      socket.closed.catch(() => {})
      await Promise.race([socket.opened, this.#whileWanted()])
      this.#stream = streamOf(socket, this.#options, true)
      if (this.#onceClosed !== undefined) this.whenClosed(this.#onceClosed)
      this.tls = this.#server === undefined ? NOT_TOLD : CHECKED
      return this.tls
    } catch (error) {
      this.destroy(error as Error)
      this.#tellClosed()
      throw error
    } finally {
      this.#handshake = undefined
    }
  }

  /** Rejects when the connection is destroyed. */
  #whileWanted(): Promise<never> {
    return new Promise((_, reject) => {
      this.#handshake = { resolve: () => {}, reject }
    })
  }
}

/**
 * Makes a duplex from the socket's streams. It closes the socket itself, because a socket whose streams are only
 * cancelled stays open until the request ends.
 */
function streamOf(socket: Socket, options: SocketOptions, isReadAhead: boolean): StreamDuplex {
  const { readable, writable } = socket
  // The types of workerd's streams have other names.
  const streams = { readable, writable } as unknown as StreamPair
  return new StreamDuplex(streams, options, { isReadAhead, isFilling: true, abandon: () => close(socket) })
}

function close(socket: Socket): void {
  socket.close().catch(() => {})
}
