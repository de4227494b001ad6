/**
 * What carries the bytes of a connection: a connection of Deno in clear, or TLS on top of one.
 *
 * It reads ahead and hands the bytes to its sink, so that a read of the duplex finds at once what has come. The sink says when it
 * has enough.
 */

/** What a carrier reports to. After `close` it reports nothing. */
export interface Sink {
  /** Takes bytes, which nobody changes from then on. Returns false if it wants no more until `resume`. */
  data(bytes: Uint8Array): boolean
  /** The peer has finished sending. */
  end(): void
  /** What was written has left. The last time, our end has left too. */
  drain(): void
  /** Something broke. `close` follows. */
  error(error: Error): void
  /** It is closed. */
  close(): void
}

export interface Carrier {
  /** Takes bytes, which nobody changes from then on. Returns false if it wants no more until `drain`. */
  write(bytes: Uint8Array): boolean
  /** Sends what was written, then our end. When the peer has ended too, the connection is closed. */
  finish(): void
  /** Hands on bytes again, after the sink had enough. */
  resume(): void
  /** Closes now. */
  close(): void
  /** What was written and has not left. */
  readonly unsentBytes: number
  /** All that was written has left, and so has our end. */
  readonly isFinished: boolean
}
