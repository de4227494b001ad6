/**
 * What a Worker does with a TCP connection that comes to it.
 *
 * The session is awaited to its end inside the handler: a socket lives as long as the handler that was given it, and
 * `ctx.waitUntil` does not prolong that.
 */
import type { Socket } from '@cloudflare/workers-types'
import type { Duplex, SessionOverrides } from '@postern/engine'
import { checkDurations } from '../common/duration.ts'
import { openDuplex, type SocketOptions } from './duplex.ts'

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
 * @throws RangeError for `lingerMs`
 */
export function handler(server: Acceptor, options: Omit<AcceptOptions, 'remote'> = {}): ConnectHandler {
  checkDurations({ lingerMs: options.lingerMs ?? 1 })
  return (socket) => accept(server, socket, options)
}

/**
 * Serves one socket. For a socket that came by RPC or over a service binding, which does not know where it came from, say who
 * the peer is: `accept(server, socket, { remote })`. Resolves when the session is over. Rejects with RangeError for `lingerMs`
 * and TypeError for a socket that somebody reads or writes already; what breaks goes to the server's `error`.
 */
export async function accept(server: Acceptor, socket: Socket, options: AcceptOptions = {}): Promise<void> {
  try {
    await socket.opened
  } catch {
    // It was gone before anything was said.
    return
  }
  await server.accept(await openDuplex(socket, options), options.overrides)
}
