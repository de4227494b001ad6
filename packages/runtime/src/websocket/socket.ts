/** The standard WebSocket, as little of it as a pipe needs: a Worker's, a browser's, Deno's, Bun's, or one of `ws`. */

/** An end of a WebSocket, open or about to be. One of a Worker was accepted (`socket.accept()`) before. */
export interface WebSocketLike {
  readonly readyState: number
  /** Set to 'arraybuffer', before anything is received. */
  binaryType?: string
  /** Where the runtime tells: what was sent and has not left. */
  readonly bufferedAmount?: number
  send(data: string | Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
  /** Where there is one: closes without asking the peer. */
  terminate?(): void
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: never) => void): void
}

/** Values of `readyState`. */
export const CONNECTING = 0
export const OPEN = 1

/** RFC 6455 7.4.1: done. */
export const NORMAL_CLOSURE = 1000
/** RFC 6455 7.4.2: one of our own: the connection that was piped is broken. */
export const RESET = 4000

/**
 * Waits until a socket that dials is open. Rejects with what the runtime says where it can't be, or after `timeoutMs`; the
 * socket is closed then.
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

/** Closes at once, as far as the runtime can. */
export function abandon(socket: WebSocketLike): void {
  try {
    if (socket.terminate === undefined) socket.close(RESET)
    else socket.terminate()
  } catch {
    // It never opened, or is closed already.
  }
}

/** What an 'error' event tells, if it tells anything. */
export function errorOf(event: { readonly error?: unknown; readonly message?: unknown }): Error {
  if (event.error instanceof Error && event.error.message !== '') return event.error
  return new Error(typeof event.message === 'string' && event.message !== '' ? event.message : 'the WebSocket failed')
}
