/** The observer of sessions and messages, and the log entries about them. */
import type {
  ArrivalError,
  Endpoint,
  ForwardPath,
  Hello,
  RefusedCommand,
  Reply,
  Session,
  TlsInfo,
} from '@postern/engine'
import type { IncomingMail, MailRecord } from '@postern/storage'

/** The fields of an entry. */
export type Fields = Readonly<Record<string, unknown>>

/** An entry of a log. */
export interface Entry {
  readonly message: string
  readonly fields: Fields
}

/** What the intake knows about a refusal and the engine does not. */
export interface Explanation {
  /** The message of the log entry. Default: 'refused'. */
  readonly message?: string
  /** Some of the fields. A log counts refusals separately if they differ in one of these. */
  readonly common?: Fields
  readonly fields: Fields
}

/** Gets each event of sessions and messages. Nobody uses what its methods return. */
export interface Observer {
  connected?(session: Session): void
  secured?(tls: TlsInfo, session: Session): void
  greeted?(hello: Hello, session: Session): void
  closed?(session: Session): void
  /** A login succeeded. */
  loggedIn?(login: Fields, session: Session): void
  /** A message is durable. The client has not got its reply yet. */
  kept?(record: MailRecord, session: Session): void
  /** A rule dropped a message for some of its recipients. The client has not got its reply, which is 250, yet. */
  dropped?(entry: Entry, session: Session): void
  /** The server refused a command, a connection, a login or a message. */
  refused?(refused: RefusedCommand, session: Session | undefined, explanation: Explanation | undefined): void
  /** A message is not kept, and no reply is sent, because its client gave up or disconnected. */
  lost?(message: Fields, session: Session): void
  /** A TLS handshake failed, or a PROXY header was missing or invalid. */
  arrivalFailed?(error: ArrivalError, session: Session | undefined): void
  /**
   * A hook, the store, a connection or the server itself failed.
   * @param awaited The hook, or the part of the server, that the session is waiting for
   */
  failed?(error: unknown, session: Session | undefined, awaited: string | undefined): void
}

/** An entry names at most this many recipients. */
const MAX_RECIPIENTS_SHOWN = 20

/** Makes the entry of a message that is kept. */
export function keptEntry(record: MailRecord, session: Session): Entry {
  const { id, reversePath, forwardPaths, size } = record
  return {
    message: 'message kept',
    fields: {
      sessionId: session.id,
      messageId: id,
      from: reversePath.address,
      to: forwardPaths.slice(0, MAX_RECIPIENTS_SHOWN).map((path) => path.address),
      recipientCount: forwardPaths.length,
      size,
      with: record.session.transmissionType,
      user: record.session.user,
      ...peerFields(session.remote),
      remoteName: session.reverseDns?.name,
      forwarded: session.forwarded,
    },
  }
}

/** Makes the entry of a message that a rule dropped for these recipients. */
export function droppedEntry(
  { id, envelope }: Pick<IncomingMail, 'id' | 'envelope'>,
  dropped: readonly ForwardPath[],
  session: Session,
): Entry {
  return {
    message: 'message dropped by a rule',
    fields: {
      sessionId: session.id,
      messageId: id,
      from: envelope.reversePath.address,
      to: dropped.slice(0, MAX_RECIPIENTS_SHOWN).map(({ address }) => address),
      recipientCount: dropped.length,
      user: session.user,
      ...peerFields(session.remote),
    },
  }
}

/** Makes the entry of a refusal. */
export function refusedEntry(
  { verb, reply, remote, forwardPath }: RefusedCommand,
  session: Session | undefined,
  explanation?: Explanation,
): Entry {
  return {
    message: explanation?.message ?? 'refused',
    fields: {
      ...sessionFields(session, remote),
      verb: verb === '' ? undefined : verb,
      to: forwardPath?.address,
      ...explanation?.fields,
      reply: replyText(reply),
    },
  }
}

/** Makes the fields that identify a client. @param remote Its address, because there may be no session */
export function sessionFields(session: Session | undefined, remote: Endpoint): Fields {
  return {
    sessionId: session?.id,
    ...peerFields(remote),
    remoteName: session?.reverseDns?.name,
    hello: session?.hello?.name,
  }
}

/** Makes the fields with the client's address. */
export function peerFields({ family, address, port }: Endpoint): {
  readonly remote: string
  readonly remotePort?: number | undefined
} {
  return family === 'unix' ? { remote: 'unix' } : { remote: address, remotePort: port }
}

/** Formats a reply on one line. */
export function replyText({ wire }: Reply): string {
  return wire.trimEnd().replaceAll('\r\n', ' / ')
}
