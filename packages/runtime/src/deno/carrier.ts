/**
 * A carrier moves the bytes of a connection: a connection of Deno in clear, or TLS on top of one.
 * It reads ahead and hands the bytes to its sink. So a read of the duplex finds received bytes at once. The sink says
 * when it has enough.
 */

/** Gets the reports of a carrier. After `close` there are no more reports. */
export interface Sink {
  /** Takes bytes, which must not change after that. Returns false if it wants no more until `resume`. */
  data(bytes: Uint8Array): boolean
  /** The peer has finished sending. */
  end(): void
  /** Says that all written bytes have left. The last report also means that our end has left. */
  drain(): void
  /** Says that something broke. `close` follows. */
  error(error: Error): void
  /** Says that the connection is closed. */
  close(): void
}

export interface Carrier {
  /** Takes bytes, which must not change after that. Returns false if it wants no more until `drain`. */
  write(bytes: Uint8Array): boolean
  /** Sends the written bytes, then our end. When the peer has ended too, the connection is closed. */
  finish(): void
  /** Continues to hand on bytes, after the sink had enough. */
  resume(): void
  /** Closes now. */
  close(): void
  /** Bytes that were written and have not left. */
  readonly unsentBytes: number
  /** True if all written bytes have left, and our end too. */
  readonly isFinished: boolean
}
