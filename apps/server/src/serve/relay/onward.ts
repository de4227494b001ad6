/** Hands mail from the engine to the relay, which is in this thread, or in the main thread of workers. */
import { mkdir } from 'node:fs/promises'
import type { ForwardPath, Reply } from '@postern/engine'
import type { Onward } from '@postern/intake'
import { type AddressBook, domainsGuard } from '@postern/intake/guards'
import { parseAddress, type RecipientAddress } from '@postern/intake/directory'
import { isQueueError, LOCAL, type NewMail, type Queue, Spool, submit } from '@postern/relay'
import { domainOf, type Forwarding, queueEnvelope, recipientOf } from '@postern/relay/onward'
import type { Logger } from '@logtape/logtape'
import type { Settings } from '../../config/settings.ts'
import { errorText, Failure } from '../../host/failure.ts'
import { NOTICE } from '../logs/log.ts'
import { queuePath, spoolPath } from './paths.ts'
import { openForwarding } from './srs-secrets.ts'

/** Takes mail that is to be sent on. */
export interface ServerOnward extends Onward {
  /** Returns whom a bounce of forwarded mail goes to, a refusal of a forged one, or undefined for an ordinary address. */
  returned(address: RecipientAddress): string | Reply | undefined
}

export interface OnwardDeps {
  readonly forwarding: Forwarding
  readonly log: Logger
  /** Takes a message. When the promise resolves, the message and its entry are durable. */
  submit(mail: NewMail): Promise<void>
}

const MAX_RECIPIENTS_SHOWN = 20

export function onwardWith({ forwarding, log, submit }: OnwardDeps): ServerOnward {
  const notices = log.getChild(NOTICE)
  return {
    returned: (address) => forwarding.returned(address),
    async submit(id, given, { away, forwarded }, message, before) {
      const envelope = queueEnvelope(given)
      await submit({
        id,
        envelope,
        recipients: away.map(recipientOf),
        pieces: message,
        ...(forwarded.length > 0 && { copies: (open) => forwarding.copies({ id, envelope, forwarded }, open) }),
        before: (open) => before(open as () => AsyncIterable<Uint8Array>),
      })
      const said = (recipients: readonly ForwardPath[]): Record<string, unknown> => ({
        messageId: id,
        from: envelope.reversePath,
        to: recipients.slice(0, MAX_RECIPIENTS_SHOWN).map(({ address }) => address),
        recipientCount: recipients.length,
      })
      if (away.length > 0) notices.info('message queued', said(away))
      if (forwarded.length > 0) notices.info('message queued by a rule', said(forwarded))
    },
  }
}

/** Opens the queue and the messages beside it. @param isOwner False in a worker, because the main thread sends */
export async function openQueue(
  { options }: Settings,
  isOwner: boolean,
): Promise<{ readonly queue: Queue; readonly spool: Spool }> {
  const [{ openSqliteQueue }, { fs }] = await Promise.all([
    import('@postern/relay/sqlite'),
    import('@postern/storage/fs'),
  ])
  await mkdir(options.queue, { recursive: true, mode: 0o700 })
  const queue = await openSqliteQueue(queuePath(options.queue), { isOwner })
  return { queue, spool: new Spool(fs(spoolPath(options.queue))) }
}

/** Names the queue in the error. */
export function queueFailure({ options, spelled }: Settings, error: unknown): Failure {
  if (error instanceof Failure) return error
  const reason = isQueueError(error) ? error.message : errorText(error)
  return new Failure(`${spelled('queue')} ${options.queue}: ${reason}`, undefined, { cause: error })
}

export interface SubmissionDeps {
  readonly settings: Settings
  readonly book: (() => AddressBook) | undefined
  readonly log: Logger
  /** Called when a message and its entry are durable. */
  added(): void
}

/** Opens the queue for a worker, which adds messages and leaves it to the main thread to send them; undefined if the relay is off. @throws Failure */
export async function openSubmission({
  settings,
  book,
  log,
  added,
}: SubmissionDeps): Promise<ServerOnward | undefined> {
  if (settings.options.relay === 'off') return undefined
  const forwarding = await openForwarding(settings)
  const destinationOf = destinationsOf(settings, book)
  try {
    const { queue, spool } = await openQueue(settings, false)
    return onwardWith({
      forwarding,
      log,
      async submit(mail) {
        await submit(mail, { queue, spool, destinationOf })
        added()
      },
    })
  } catch (error) {
    throw queueFailure(settings, error)
  }
}

/** Returns what finds the destination of an address: this server, or its domain. */
export function destinationsOf(
  settings: Settings,
  book: (() => AddressBook) | undefined,
): (address: string) => Promise<string> {
  const ours = oursOf(settings, book)
  return async (address) => ((await ours(address)) ? LOCAL : domainOf(address))
}

/** Returns what tells whether an address is one of this server's. */
function oursOf(
  { options: { domains } }: Settings,
  book: (() => AddressBook) | undefined,
): (address: string) => Promise<boolean> {
  const guard = domains === undefined ? undefined : domainsGuard(domains)
  return async (address) => {
    const path = parseAddress(address)
    if (path === undefined) return false
    if (book !== undefined) return (await book().resolve(path)).kind !== 'elsewhere'
    return guard?.rcpt({ ...path, address } as ForwardPath) === undefined
  }
}
