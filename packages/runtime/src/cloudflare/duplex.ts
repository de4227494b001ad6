/**
 * A socket of workerd as the engine's Duplex: its two Web streams, and TLS where workerd can begin it.
 *
 * A reader of workerd cannot be given up while it reads. So where the connection may become TLS, nothing is read ahead
 * before it has: what a peer sends before its time then waits in the system, goes into the handshake, and breaks it.
 */
import type { Socket } from '@cloudflare/workers-types'
import type { Duplex, Endpoint, TlsInfo } from '@postern/engine'
import type { Wait } from '../common/wait.ts'
import { StreamDuplex, type StreamPair } from '../web/duplex.ts'
import { socketEndpoint } from './endpoint.ts'

export interface SocketOptions {
  /** Who the peer is. Default: what the socket says, which is nothing over RPC or a service binding. */
  readonly remote?: Endpoint | undefined
  readonly local?: Endpoint | undefined
  /** TLS ended before the Worker, of which the socket does not tell; `NOT_TOLD` where nothing more is known. */
  readonly tls?: TlsInfo | undefined
  /** After `end`: closes when nothing has moved for so long. Default 5,000. */
  readonly lingerMs?: number | undefined
}

/** The connection is TLS. What was agreed on, workerd does not tell. */
export const NOT_TOLD: TlsInfo = { protocol: '', cipher: '' }

/**
 * Who is at the other end of a socket, and that it is open: to be awaited before the socket is passed on by RPC, which opens it
 * only then, and loses who it was. Rejects where the socket never opens.
 */
export async function peerOf(socket: Socket): Promise<Endpoint> {
  return socketEndpoint((await socket.opened).remoteAddress)
}

/** @param serverName Of a dialled connection: who must be at the other end. Else what the socket was opened with. */
export async function openDuplex(socket: Socket, options: SocketOptions, serverName?: string): Promise<Duplex> {
  // Who reads or writes hears of it.
  socket.closed.catch(() => {})
  const { remoteAddress, localAddress } = await socket.opened
  const remote = options.remote ?? socketEndpoint(remoteAddress)
  const local = options.local ?? socketEndpoint(localAddress)
  return new WorkerdDuplex(socket, { ...options, remote, local }, serverName)
}

class WorkerdDuplex implements Duplex {
  startTls: ((received?: Uint8Array) => Promise<TlsInfo>) | undefined
  tls: TlsInfo | undefined

  readonly #options: SocketOptions
  readonly #serverName: string | undefined
  #socket: Socket
  #stream: StreamDuplex
  #handshake: Wait<never> | undefined
  /** The last write. */
  #written: void | Promise<void> = undefined

  constructor(socket: Socket, options: SocketOptions, serverName: string | undefined) {
    const canStartTls = socket.secureTransport === 'starttls' && options.tls === undefined
    this.#options = options
    this.#serverName = serverName
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
    // In a handshake there is no stream.
    close(this.#socket)
  }

  async #startTls(received?: Uint8Array): Promise<TlsInfo> {
    // It could not be given back to what makes the handshake.
    if (received !== undefined && received.byteLength > 0) throw new Error('the handshake has begun already')
    const clear = this.#socket
    this.startTls = undefined
    try {
      // The reply that says "go on". Nobody reads meanwhile, so the handshake waits in the system.
      await this.#written
      this.#stream.release()
      const socket = clear.startTls(this.#serverName === undefined ? {} : { expectedServerHostname: this.#serverName })
      this.#socket = socket
      socket.closed.catch(() => {})
      await Promise.race([socket.opened, this.#whileWanted()])
      this.#stream = streamOf(socket, this.#options, true)
      this.tls = NOT_TOLD
      return this.tls
    } catch (error) {
      this.destroy(error as Error)
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

/** To cancel its streams would leave the socket open for as long as the request lives; closing it closes it. */
function streamOf(socket: Socket, options: SocketOptions, isReadAhead: boolean): StreamDuplex {
  const { readable, writable } = socket
  // Workerd's streams have other type names than those of everyone else.
  const streams = { readable, writable } as unknown as StreamPair
  return new StreamDuplex(streams, options, { isReadAhead, isFilling: true, abandon: () => close(socket) })
}

function close(socket: Socket): void {
  socket.close().catch(() => {})
}
