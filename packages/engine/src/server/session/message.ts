import type { Envelope } from '../../protocol/grammar/envelope.ts'
import type { Reply } from '../../protocol/grammar/reply.ts'

/**
 * A message while it arrives. Its bytes are pulled: what the hook does not read, the client does not get to send.
 *
 * Read it in one of four ways, once: `read`, `body`, `stream` or `bytes`. Whatever is left unread when the hook is done is
 * thrown away. The bytes are what the client sent, dot-stuffing undone; {@link Message.trace} belongs on top of them.
 */
export interface Message {
  /** Unique and time-ordered: a ULID. It stands in the trace header, and names the message in a store. */
  readonly id: string
  readonly envelope: Envelope
  /** The time of the DATA or first BDAT command. */
  readonly receivedAt: Date
  /** The `Received:` field (RFC 5321 4.4), CRLF included, to be stored above the bytes. */
  readonly trace: Uint8Array
  /** Bytes read so far. */
  readonly size: number
  /**
   * The next bytes, or null at the end. Answers at once when bytes are waiting. The view is valid until the next call.
   *
   * @throws MessageError when there will be no whole message: keep nothing. The client is answered by the engine.
   */
  read(): Uint8Array | null | Promise<Uint8Array | null>
  /** The same as an async iterable. Each view is valid until the next one is asked for. */
  readonly body: AsyncIterable<Uint8Array>
  /** The same as a Web stream of bytes; its chunks are copies, and stay valid. */
  stream(): ReadableStream<Uint8Array>
  /** The whole message. It is never larger than the server's `maxMessageBytes`. */
  bytes(): Promise<Uint8Array>
}

/** Why there is no whole message. */
export type MessageErrorReason =
  | 'too-large'
  | 'bare-line-ending'
  | 'line-too-long'
  /** The client reset the transaction, went away or was closed on. */
  | 'aborted'
  /** The client sent too slowly, or nothing. */
  | 'timeout'

/** Reading a message failed: it will never be whole. Let it pass through, or clean up and throw it on. */
export class MessageError extends Error {
  override readonly name = 'MessageError'
  readonly reason: MessageErrorReason
  /** What the client is told; undefined where there is nobody left to tell. */
  readonly reply: Reply | undefined
  constructor(reason: MessageErrorReason, reply?: Reply) {
    super(`message ${reason}`)
    this.reason = reason
    this.reply = reply
  }
}

/** Thrown by a hook: the client gets `reply`, and the server's `error` handler gets the cause. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly reply: Reply
  constructor(reply: Reply, options?: ErrorOptions) {
    super(reply.wire.trimEnd(), options)
    this.reply = reply
  }
}
