/**
 * @postern/runtime/websocket: connections over WebSockets, and the pipe between a front and a server.
 *
 * A server, for example on a Worker: `guard.admit(request)`, accept the WebSocket, `server.accept(acceptPipe(socket,
 * facts), pipeOverrides(facts))`.
 */
import type { Duplex, SessionOverrides } from '@postern/engine'
import { WebSocketDuplex, type WebSocketOptions } from './duplex.ts'
import type { PipeFacts } from './facts.ts'
import type { WebSocketLike } from './socket.ts'

export { Carriage, type CarryOptions, factsOf } from './front.ts'
export type { PipeFacts } from './facts.ts'
export { opened, type WebSocketLike } from './socket.ts'
export {
  type FrontGuard,
  frontGuard,
  type FrontGuardOptions,
  pipeAudience,
  pipeHeaders,
  PipeRefusedError,
  type PipeRequest,
  tokenMemory,
  type TokenMemory,
} from './token.ts'
export type { WebSocketOptions } from './duplex.ts'

/** Makes a connection over a WebSocket whose other end does the same. It has no STARTTLS, because the WebSocket may have TLS. */
export function webSocketDuplex(socket: WebSocketLike, options: WebSocketOptions): Duplex {
  return new WebSocketDuplex(socket, options)
}

/**
 * Makes the duplex of a connection that a front pipes here.
 * @param facts The result of `FrontGuard.admit`.
 */
export function acceptPipe(socket: WebSocketLike, facts: PipeFacts, options: { lingerMs?: number } = {}): Duplex {
  return new WebSocketDuplex(socket, { ...facts, ...options }, 'server', facts.canStartTls)
}

/** Returns the options for the port that the client came to. */
export function pipeOverrides({ submission }: PipeFacts): SessionOverrides {
  return submission ? { authRequired: true, tlsRequired: true } : {}
}
