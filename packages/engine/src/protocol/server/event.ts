/** What the protocol tells its driver. Those marked (answer) wait for {@link ServerProtocol.answer}, `begin` for a message, or `challenge`. */
import type { ForwardPath, ReversePath } from '../grammar/envelope.ts'
import type { Reply } from '../grammar/reply.ts'

/** HELO or EHLO, and what the client said its name was (RFC 5321 4.1.1.1). */
export interface Hello {
  readonly verb: 'HELO' | 'EHLO'
  /** As the client wrote it: a domain or an address literal. */
  readonly name: string
}

/** A command that changes nothing but the state. */
export interface CommandEvent {
  readonly type: 'command'
  readonly verb: string
  readonly argument: string
  /** The greeting that it is, if it is one: then the reply is that to EHLO. */
  readonly hello?: Hello
}

export type ServerEvent =
  /** Everything received is used up: call `receive` or `receiveEnd`. */
  | { readonly type: 'need-data' }
  /** The client has finished sending. */
  | { readonly type: 'end' }
  /** Send what is queued and close. */
  | { readonly type: 'close' }
  /** A command was refused and answered; the driver is told for its log. {@link ServerProtocol.verb} is whose it was. */
  | { readonly type: 'violation'; readonly reply: Reply }
  /** (answer) */
  | { readonly type: 'hello'; readonly hello: Hello }
  /** (answer) `envelope` is the one proposed. */
  | { readonly type: 'mail'; readonly reversePath: ReversePath }
  /** (answer) */
  | { readonly type: 'rcpt'; readonly forwardPath: ForwardPath }
  /** (answer or challenge) AUTH with a mechanism that is on offer, and the initial response if there is one. */
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
  /** The message will be refused; what is left of it passes by unseen, then comes 'message-end'. */
  | { readonly type: 'message-failed'; readonly reason: MessageFailure; readonly reply: Reply }
  /** (answer, with the reply of 'message-failed' where there was one) */
  | { readonly type: 'message-end' }

export type EventOf<T extends ServerEvent['type']> = Extract<ServerEvent, { readonly type: T }>

export type MessageFailure = 'too-large' | 'bare-line-ending' | 'line-too-long'
