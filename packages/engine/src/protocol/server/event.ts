/**
 * The events that the protocol gives its driver. An event with (answer) waits for {@link ServerProtocol.answer}. Others wait
 * for `begin` or `challenge`.
 */
import type { ForwardPath, ReversePath } from '../grammar/envelope.ts'
import type { Reply } from '../grammar/reply.ts'

/** HELO, EHLO or LHLO, and the name that the client gave (RFC 5321 4.1.1.1, RFC 2033 4.1). */
export interface Hello {
  readonly verb: 'HELO' | 'EHLO' | 'LHLO'
  /** As the client wrote it: a domain or an address literal. */
  readonly name: string
}

/** A command that changes only the state. */
export interface CommandEvent {
  readonly type: 'command'
  readonly verb: string
  readonly argument: string
  /** Present if the command is a greeting. The reply is then the one to EHLO. */
  readonly hello?: Hello
}

export type ServerEvent =
  /** Everything received is used up. Call `receive` or `receiveEnd`. */
  | { readonly type: 'need-data' }
  /** The client has finished sending. */
  | { readonly type: 'end' }
  /** Send what is queued and close. */
  | { readonly type: 'close' }
  /**
   * A command was refused and answered. The driver gets it for its log. {@link ServerProtocol.verb} is the verb of that
   * command.
   */
  | { readonly type: 'violation'; readonly reply: Reply }
  /** (answer) */
  | { readonly type: 'hello'; readonly hello: Hello }
  /** (answer) `envelope` is the proposed one. */
  | { readonly type: 'mail'; readonly reversePath: ReversePath }
  /** (answer) */
  | { readonly type: 'rcpt'; readonly forwardPath: ForwardPath }
  /** (answer or challenge) AUTH with a mechanism on offer, and the initial response if there is one. */
  | { readonly type: 'auth'; readonly mechanism: string; readonly response: Uint8Array | undefined }
  /** (answer or challenge) The response to the last challenge. */
  | { readonly type: 'auth-response'; readonly response: Uint8Array }
  /** (answer) RSET, NOOP, VRFY, EXPN, HELP, QUIT, STARTTLS, or an extension's verb. */
  | CommandEvent
  /** (begin, or answer to refuse) DATA or the first BDAT. */
  | { readonly type: 'message' }
  /** Bytes of the message, valid until the next `receive`. */
  | { readonly type: 'chunk'; readonly bytes: Uint8Array }
  /** (answer) A BDAT that was not the last is over. */
  | { readonly type: 'chunk-end' }
  /** The message will be refused. The rest of it is dropped, then 'message-end' comes. */
  | { readonly type: 'message-failed'; readonly reason: MessageFailure; readonly reply: Reply }
  /** (answer, with the reply of 'message-failed' if there was one) */
  | { readonly type: 'message-end' }

export type EventOf<T extends ServerEvent['type']> = Extract<ServerEvent, { readonly type: T }>

export type MessageFailure = 'too-large' | 'bare-line-ending' | 'line-too-long' | 'mail-loop'
