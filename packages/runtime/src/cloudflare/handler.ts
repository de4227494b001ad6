/**
 * What a Worker does with a TCP connection that comes to it.
 *
 * The session is awaited to its end inside the handler: a socket lives as long as the handler that was given it, and
 * `ctx.waitUntil` does not prolong that.
 */
import type { Socket } from '@cloudflare/workers-types'
import type { Duplex, SessionOverrides } from '@postern/engine'
import { openDuplex, type SocketOptions } from './socket.ts'

/** What the handler needs of a server. Its promise is the session's end. */
export interface Acceptor {
  accept(duplex: Duplex, overrides?: SessionOverrides): Promise<void>
}

export interface AcceptOptions extends SocketOptions {
  /** Policies for these connections. */
  readonly overrides?: SessionOverrides | undefined
}

/** The `connect` handler of a Worker (`ExportedHandlerConnectHandler`), or of a Durable Object. */
export type ConnectHandler = (socket: Socket, env?: unknown, ctx?: unknown) => Promise<void>

/**
 * Makes the `connect` handler of a Worker: `export default { connect: handler(server) }`.
 *
 * STARTTLS is offered where the socket can do it. The handler never rejects: what breaks goes to the server's `error`.
 */
export function handler(server: Acceptor, options: Omit<AcceptOptions, 'remote'> = {}): ConnectHandler {
  return (socket) => accept(server, socket, options)
}

/**
 * Serves one socket. For a socket that came by RPC or over a service binding, which does not know where it came from, say who
 * the peer is: `accept(server, socket, { remote })`. Resolves when the session is over; never rejects.
 */
export async function accept(server: Acceptor, socket: Socket, options: AcceptOptions = {}): Promise<void> {
  let duplex: Duplex
  try {
    duplex = await openDuplex(socket, options)
  } catch {
    // It was gone before anything was said.
    return
  }
  await server.accept(duplex, options.overrides)
}
