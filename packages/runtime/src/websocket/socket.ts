/** The part of the standard WebSocket that a pipe needs. A Worker, a browser, Deno, Bun and `ws` have it. */

/** An end of a WebSocket, open or opening. In a Worker, call `socket.accept()` first. */
export interface WebSocketLike {
  readonly readyState: number
  /** Set to 'arraybuffer', before anything is received. */
  binaryType?: string
  /** Bytes that were sent and have not left, if the runtime tells. */
  readonly bufferedAmount?: number
  send(data: string | Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
  /** Closes without waiting for the peer, if the runtime can. */
  terminate?(): void
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: never) => void): void
}

/** Values of `readyState`. */
export const CONNECTING = 0
export const OPEN = 1

/** RFC 6455 7.4.1: the connection ended normally. */
export const NORMAL_CLOSURE = 1000
/** A code of our own (RFC 6455 7.4.2): the piped connection broke. */
export const RESET = 4000

/**
 * Waits until a socket that dials is open. Rejects with the runtime's error, or after `timeoutMs`. The socket is closed then.
 */
export function opened(socket: WebSocketLike, timeoutMs: number): Promise<void> {
  if (socket.readyState === OPEN) return Promise.resolve()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => {
    reject(new Error(`the WebSocket was not open within ${timeoutMs} ms`))
    abandon(socket)
  }, timeoutMs)
  const settle = (how: () => void): void => {
    clearTimeout(timer)
    how()
  }
  socket.addEventListener('open', () => settle(resolve))
  socket.addEventListener('error', (event) => settle(() => reject(errorOf(event))))
  socket.addEventListener('close', () => settle(() => reject(new Error('the WebSocket was closed'))))
  return promise
}

/** Closes at once, if the runtime can. */
export function abandon(socket: WebSocketLike): void {
  try {
    if (socket.terminate === undefined) socket.close(RESET)
    else socket.terminate()
  } catch {
    // The socket never opened, or it is closed already.
  }
}

/** Makes an error from an 'error' event, which may have no details. */
export function errorOf(event: { readonly error?: unknown; readonly message?: unknown }): Error {
  if (event.error instanceof Error && event.error.message !== '') return event.error
  return new Error(typeof event.message === 'string' && event.message !== '' ? event.message : 'the WebSocket failed')
}
