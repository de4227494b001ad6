/** Keeps a silent pipe open, and closes a pipe whose other end does not answer. */

/** Networks drop a silent connection (Cloudflare after 100 s). */
export const PING_MS = 30_000
/**
 * After this many pings without an answer the pipe is closed. It is more than one, because a ping waits behind a window
 * of data. That takes long on a slow network.
 */
export const MAX_MISSED_PINGS = 4

/** A value of `readyState`. */
const OPEN = 1

/** The methods of a `ws` WebSocket that are used here. */
export interface Pingable {
  readonly readyState: number
  on(event: 'pong' | 'message', listener: () => void): unknown
  ping(): void
  terminate(): void
}

/** Sends pings, and closes the socket if the other end does not answer. Returns a function that stops it. */
export function keepAlive(socket: Pingable): () => void {
  let missed = 0
  const hear = (): void => {
    missed = 0
  }
  socket.on('pong', hear)
  socket.on('message', hear)
  const timer = setInterval(() => {
    if (missed === MAX_MISSED_PINGS) return socket.terminate()
    missed++
    if (socket.readyState === OPEN) socket.ping()
  }, PING_MS)
  return () => clearInterval(timer)
}
