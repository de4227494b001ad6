/**
 * A socket of workerd as the engine's Duplex: its two Web streams, and STARTTLS where workerd can do it.
 */
import type { Socket } from '@cloudflare/workers-types'
import type { Duplex, Endpoint, TlsInfo } from '@postern/engine'

export interface SocketOptions {
  /** Who the peer is. Default: what the socket says, and nowhere where it says nothing, as over a service binding. */
  readonly remote?: Endpoint | undefined
  readonly local?: Endpoint | undefined
  /** The connection is TLS that ended before the Worker: a socket does not tell. `{ protocol: '', cipher: '' }` where no more is known. */
  readonly tls?: TlsInfo | undefined
  /** After `end`: closes when nothing has moved for so long. Default 5,000. */
  readonly lingerMs?: number | undefined
}

/** Waits until the socket is open. undefined where it never was. */
export async function socketDuplex(socket: Socket, options: SocketOptions): Promise<Duplex | undefined> {
  throw new Error(`${socket.upgraded} ${options.lingerMs}`)
}
