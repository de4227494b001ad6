/** Copies a message from one store of mail to another. */
import type { Envelope } from '@postern/engine'
import type { ForwardPathRecord, MailRecord, PathRecord } from '../record/record.ts'
import type { IncomingMail, MailFacts } from '../record/incoming.ts'
import type { MailStore, StoredMail } from './contract.ts'
import { type ContentOptions, saverIn } from './keep.ts'

export interface CopyOptions extends ContentOptions {
  /** The verdicts of the copy's record. Default: those of the message. */
  readonly verdicts?: MailRecord['verdicts']
}

const NOTHING = new Uint8Array(0)

/**
 * Saves a message of a store in another one, with its id, its bytes and what its record says. What the first store added, such as places in
 * Maildirs or a bounce, is not copied. When the promise resolves, the copy is durable.
 *
 * @throws StorageError as reading and saving do: `exists` if the other store has the id already
 */
export function copyMail(mail: StoredMail, to: MailStore, options: CopyOptions = {}): Promise<MailRecord> {
  const { record } = mail
  const pieces = mail.body[Symbol.asyncIterator]()
  let isOver = false
  const message: IncomingMail = {
    id: record.id,
    receivedAt: new Date(record.receivedAt),
    trace: NOTHING,
    envelope: envelopeOf(record),
    async read() {
      if (isOver) return null
      const { value, done } = await pieces.next()
      isOver = done === true
      return done === true ? null : value
    },
    facts: (): MailFacts => ({
      verdicts: options.verdicts ?? record.verdicts,
      ...(record.summary !== undefined && { summary: record.summary }),
    }),
  }
  const { session } = record
  return saverIn(to, options)(message, { ...session, tls: session.tls, hello: session.hello, user: session.user })
}

function envelopeOf(record: MailRecord): Envelope {
  const { body, smtpUtf8, ret, envelopeId, requireTls, priority, deliverBy, holdUntil } = record
  return {
    reversePath: pathOf(record.reversePath),
    forwardPaths: record.forwardPaths.map(pathOf),
    body,
    smtpUtf8,
    ...(ret !== undefined && { ret }),
    ...(envelopeId !== undefined && { envelopeId }),
    ...(requireTls !== undefined && { requireTls }),
    ...(priority !== undefined && { priority }),
    ...(deliverBy !== undefined && { deliverBy: { ...deliverBy, deadline: new Date(deliverBy.deadline) } }),
    ...(holdUntil !== undefined && { holdUntil: new Date(holdUntil) }),
  }
}

function pathOf<Path extends PathRecord | ForwardPathRecord>(
  path: Path,
): Omit<Path, 'parameters'> & { readonly parameters: ReadonlyMap<string, string> } {
  return { ...path, parameters: new Map(Object.entries(path.parameters)) }
}
