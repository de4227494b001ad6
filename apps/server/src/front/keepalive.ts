/** Keeps a pipe open that is silent, and closes one whose other end is gone. */

/** Networks forget a connection that is silent (Cloudflare's after 100 s). */
export const PING_MS = 30_000
/**
 * Pings without an answer after which nobody is there. More than one: a ping stands in line behind a window of bytes, which on
 * a narrow network takes its time.
 */
export const MAX_MISSED_PINGS = 4

/** A value of `readyState`. */
const OPEN = 1

/** What this takes of a WebSocket of `ws`. */
export interface Pingable {
  readonly readyState: number
  on(event: 'pong' | 'message', listener: () => void): unknown
  ping(): void
  terminate(): void
}

/** Asks now and then whether the other end is there, and closes where it is not. Gives what stops it. */
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
