/** What a store needs of a message and its session, and the record that it makes from them. */
import type { DeliverBy, ForwardPath, Message, Path, PathWithParameters, Session } from '@postern/engine'
import type { DeliverByRecord, ForwardPathRecord, MailRecord, PathRecord, SessionFacts } from './record.ts'

/** The facts in a record that are known only after the message's last byte. */
export type MailFacts = Partial<Pick<MailRecord, 'verdicts' | 'summary' | 'attachments' | 'maildir'>>
/** What `save` needs of a message. */
export type IncomingMail = Pick<Message, 'id' | 'envelope' | 'receivedAt' | 'trace' | 'read'> & {
  /**
   * Returns facts for the record. `save` asks once, after it read the last byte and before it writes the record. If this throws,
   * `save` throws the same and keeps nothing. Default: no facts.
   */
  facts?(): MailFacts | Promise<MailFacts>
}
/** What `accepts` needs of a recipient. */
export type RecipientPath = Pick<Path, 'localPart' | 'domain' | 'literal'>

/** Returns the addresses of the mailboxes for a recipient: those of its accounts, or its own if it has none. */
export function mailboxPaths(path: RecipientPath & Pick<ForwardPath, 'accounts'>): readonly RecipientPath[] {
  const { accounts = [] } = path
  return accounts.length === 0 ? [path] : accounts.map(pathOfAccount)
}

function pathOfAccount(address: string): RecipientPath {
  const at = address.lastIndexOf('@')
  const localPart = address.slice(0, at)
  const isQuoted = localPart.startsWith('"')
  return {
    localPart: isQuoted ? localPart.slice(1, -1).replaceAll(/\\(.)/gu, '$1') : localPart,
    domain: address.slice(at + 1),
  }
}

/** What `save` needs of a session. */
export type IncomingSession = Pick<Session, 'id' | 'remote' | 'local' | 'tls' | 'hello' | 'transmissionType' | 'user'> &
  Partial<Pick<Session, 'forwarded' | 'reverseDns'>>

/** Makes the record of a message. */
export function recordOf(
  message: IncomingMail,
  session: SessionFacts,
  stored: Pick<MailRecord, 'size' | 'sha256'>,
  { verdicts = {}, summary, attachments, maildir }: MailFacts = {},
): MailRecord {
  const { envelope } = message
  return {
    schemaVersion: 1,
    id: message.id,
    receivedAt: message.receivedAt.toISOString(),
    session,
    reversePath: pathOf(envelope.reversePath),
    forwardPaths: envelope.forwardPaths.map(forwardPathOf),
    body: envelope.body,
    smtpUtf8: envelope.smtpUtf8,
    ...(envelope.ret !== undefined && { ret: envelope.ret }),
    ...(envelope.envelopeId !== undefined && { envelopeId: envelope.envelopeId }),
    ...(envelope.requireTls !== undefined && { requireTls: envelope.requireTls }),
    ...(envelope.priority !== undefined && { priority: envelope.priority }),
    ...(envelope.deliverBy !== undefined && { deliverBy: deliverByOf(envelope.deliverBy) }),
    ...(envelope.holdUntil !== undefined && { holdUntil: envelope.holdUntil.toISOString() }),
    size: stored.size,
    sha256: stored.sha256,
    verdicts,
    ...(summary !== undefined && { summary }),
    ...(attachments !== undefined && { attachments }),
    ...(maildir !== undefined && { maildir }),
  }
}

/** Copies what a record says about a session. Called when the message begins, because a session changes. */
export function sessionFactsOf(session: IncomingSession): SessionFacts {
  const { forwarded, hello, id, local, remote, reverseDns, tls, transmissionType, user } = session
  return {
    id,
    remote: { family: remote.family, address: remote.address, port: remote.port },
    local: { family: local.family, address: local.address, port: local.port },
    ...(tls !== undefined && { tls }),
    ...(hello !== undefined && { hello: { verb: hello.verb, name: hello.name } }),
    ...(reverseDns !== undefined && { reverseDns: { result: reverseDns.result, name: reverseDns.name } }),
    transmissionType,
    ...(user !== undefined && { user }),
    ...(forwarded !== undefined && { forwarded: { ...forwarded } }),
  }
}

function deliverByOf({ deadline, mode, trace }: DeliverBy): DeliverByRecord {
  return { deadline: deadline.toISOString(), mode, trace }
}

function pathOf(path: PathWithParameters): PathRecord {
  return {
    address: path.address,
    localPart: path.localPart,
    domain: path.domain,
    ...(path.literal !== undefined && { literal: path.literal }),
    parameters: path.parameters.size === 0 ? {} : Object.fromEntries(path.parameters),
    ...(path.malformedParameters !== undefined && { malformedParameters: path.malformedParameters }),
  }
}

function forwardPathOf(path: ForwardPath): ForwardPathRecord {
  return {
    ...pathOf(path),
    ...(path.notify !== undefined && { notify: path.notify }),
    ...(path.originalRecipient !== undefined && { originalRecipient: path.originalRecipient }),
    ...(path.accounts !== undefined && { accounts: path.accounts }),
  }
}
