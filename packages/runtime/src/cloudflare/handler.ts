/**
 * Handles TCP connections of a Worker.
 * The handler waits until the session has ended, because a socket lives only as long as its handler. `ctx.waitUntil`
 * does not prolong that.
 */
import type { Socket } from '@cloudflare/workers-types'
import type { Duplex, SessionOverrides } from '@postern/engine'
import { checkDurations } from '../common/duration.ts'
import { openDuplex, type SocketOptions } from './duplex.ts'

/** The part of a server that the handler uses. */
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
 * STARTTLS is offered if the socket can do it. The handler never rejects: the server's `error` gets the errors.
 * @throws RangeError for `lingerMs`
 */
export function handler(server: Acceptor, options: Omit<AcceptOptions, 'remote'> = {}): ConnectHandler {
  checkDurations({ lingerMs: options.lingerMs ?? 1 })
  return (socket) => accept(server, socket, options)
}

/**
 * Serves one socket. A socket that came by RPC or over a service binding does not know its peer, so name the peer:
 * `accept(server, socket, { remote })`. Resolves when the session is over. Rejects with RangeError for `lingerMs`, and
 * with TypeError for a socket whose streams are already locked. The server's `error` gets all other errors.
 */
export async function accept(server: Acceptor, socket: Socket, options: AcceptOptions = {}): Promise<void> {
  try {
    await socket.opened
  } catch {
    // The client closed the connection before anything was sent.
    return
  }
  await server.accept(await openDuplex(socket, options), options.overrides)
}
