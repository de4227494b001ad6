import { acrossCopies } from '../../copies.ts'
import type { Envelope } from '../../protocol/grammar/envelope.ts'
import { type Reply, toReply } from '../../protocol/grammar/reply.ts'

/**
 * A message while it arrives. Its bytes are pulled: if the hook does not read, the client has to wait.
 * Read it once, in one of four ways: `read`, `body`, `stream` or `bytes`. Bytes that the hook leaves unread are
 * dropped. The bytes are what the client sent, without dot-stuffing. Store them with {@link Message.trace} in front.
 */
export interface Message {
  /** Unique and ordered by time: a ULID. It is in the trace header, and it names the message in a store. */
  readonly id: string
  readonly envelope: Envelope
  /** The time of the DATA or first BDAT command. */
  readonly receivedAt: Date
  /** The `Received:` field (RFC 5321 4.4), CRLF included. Store it in front of the bytes. */
  readonly trace: Uint8Array
  /** Bytes read so far. */
  readonly size: number
  /**
   * Reads the next bytes; null at the end. Returns at once if bytes are waiting. The view is valid until the next call.
   * @throws MessageError if the message will never be whole. Then store nothing. The engine answers the client.
   */
  read(): Uint8Array | null | Promise<Uint8Array | null>
  /** The same as an async iterable. Each view is valid until you ask for the next one. */
  readonly body: AsyncIterable<Uint8Array>
  /** The same as a Web stream of bytes. Its chunks are copies, and stay valid. */
  stream(): ReadableStream<Uint8Array>
  /** Reads the whole message. It is never larger than `maxMessageBytes` of the server or of its listener. */
  bytes(): Promise<Uint8Array>
}

/** Why the message will never be whole. */
export type MessageErrorReason =
  | 'too-large'
  | 'bare-line-ending'
  | 'line-too-long'
  /** It has more than `maxReceivedFields` Received fields. */
  | 'mail-loop'
  /** The client reset the transaction or left, or the server closed the connection. */
  | 'aborted'
  /** The client sent too slowly, or nothing at all. */
  | 'timeout'

/** Reading a message failed, because the message will never be whole. Do not catch it, or clean up and throw it again. */
export class MessageError extends Error {
  static {
    acrossCopies(this, 'MessageError')
  }
  override readonly name = 'MessageError'
  readonly reason: MessageErrorReason
  /** The reply for the client; undefined if the client is gone. */
  readonly reply: Reply | undefined
  constructor(reason: MessageErrorReason, reply?: Reply) {
    super(`message ${reason}`)
    this.reason = reason
    this.reply = reply
  }
}

/** A hook throws it to refuse: the client gets `reply`, and the server's `error` handler gets the cause. */
export class Refusal extends Error {
  static {
    acrossCopies(this, 'Refusal')
  }
  override readonly name = 'Refusal'
  readonly reply: Reply
  constructor(reply: Reply, options?: ErrorOptions) {
    const given = toReply(reply)
    const isRefusal = given !== undefined && given.code >= 400
    super(isRefusal ? given.wire.trimEnd() : 'a Refusal needs a Reply of 4xx or 5xx', options)
    this.reply = reply
  }
}
