/**
 * What carries the bytes of a connection: a connection of Deno in clear, or TLS on top of one.
 *
 * It reads on by itself, so that a read finds at once what has come, and tells its sink, which says when it has had enough.
 */

/** Whom a carrier tells. After `close` it tells nothing. */
export interface Sink {
  /** Bytes came, which nobody changes from then on. False: no more of them, until `resume`. */
  data(bytes: Uint8Array): boolean
  /** The peer has finished sending. */
  end(): void
  /** What was written has left; the last time, our end has too. */
  drain(): void
  /** Something broke; `close` follows. */
  error(error: Error): void
  /** It is over. */
  close(): void
}

export interface Carrier {
  /** Takes bytes, which nobody changes from then on. False: no more of them, until `drain`. */
  write(bytes: Uint8Array): boolean
  /** Sends what was written, then our end. Once the peer has ended too, the connection is closed. */
  finish(): void
  /** Goes on telling of bytes, after the sink has had enough. */
  resume(): void
  /** Closes now. */
  close(): void
  /** What was written and has not left. */
  readonly unsentBytes: number
  /** What was written has left, and our end. */
  readonly isFinished: boolean
}
