/**
 * What a Worker does with a TCP connection that comes to it.
 *
 * The handler awaits the session to its end, because a socket lives only as long as the handler that was given it.
 * `ctx.waitUntil` does not prolong that.
 */
import type { Socket } from '@cloudflare/workers-types'
import type { Duplex, SessionOverrides } from '@postern/engine'
import { checkDurations } from '../common/duration.ts'
import { openDuplex, type SocketOptions } from './duplex.ts'

/** What the handler needs of a server. */
export interface Acceptor {
  /** Serves a connection. Resolves when the session is over. */
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
 * STARTTLS is offered if the socket can do it. The handler never rejects. Errors go to the server's `error`.
 * @throws RangeError for `lingerMs`
 */
export function handler(server: Acceptor, options: Omit<AcceptOptions, 'remote'> = {}): ConnectHandler {
  checkDurations({ lingerMs: options.lingerMs ?? 1 })
  return (socket) => accept(server, socket, options)
}

/**
 * Serves one socket. A socket that came by RPC or over a service binding does not know its peer, so say who that is:
 * `accept(server, socket, { remote })`. Resolves when the session is over. Rejects with RangeError for `lingerMs`, and with
 * TypeError for a socket that somebody reads or writes already. Other errors go to the server's `error`.
 */
export async function accept(server: Acceptor, socket: Socket, options: AcceptOptions = {}): Promise<void> {
  try {
    await socket.opened
  } catch {
    // The client closed it before anything was said.
    return
  }
  await server.accept(await openDuplex(socket, options), options.overrides)
}
