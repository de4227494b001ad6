/** Hands mail from the engine to the relay, which is in this thread, or in the main thread of workers. */
import { type ForwardPath, Refusal, type Reply, reply } from '@postern/engine'
import type { Onward } from '@postern/intake'
import { type AddressBook, domainsGuard } from '@postern/intake/guards'
import { parseAddress, type RecipientAddress } from '@postern/intake/directory'
import { LOCAL, type NewCopy, type NewMail, type Pieces, submit } from '@postern/relay'
import {
  domainOf,
  type ForwardedMail,
  type Forwarding,
  queueEnvelope,
  recipientOf,
  refusalOf,
} from '@postern/relay/onward'
import type { Logger } from '@logtape/logtape'
import type { Settings } from '../../config/settings.ts'
import { NOTICE } from '../logs/log.ts'
import { openQueue, openSpool } from './queue.ts'
import { openForwarding } from './srs-secrets.ts'

/** Takes mail that is to be sent on. */
export interface ServerOnward extends Onward {
  /** Returns whom a bounce of forwarded mail goes to, a refusal of a forged one, or undefined for an ordinary address. */
  returned(address: RecipientAddress): string | Reply | undefined
}

export interface OnwardDeps {
  /** Undefined if there are no secrets for it. */
  readonly forwarding: Forwarding | undefined
  readonly log: Logger
  /** Takes a message. When the promise resolves, the message and its entry are durable. */
  submit(mail: NewMail): Promise<void>
}

const MAX_RECIPIENTS_SHOWN = 20
const NO_SECRETS = reply(451, '4.3.5', 'This server cannot forward mail yet; try again later')

export function onwardWith({ forwarding, log, submit }: OnwardDeps): ServerOnward {
  const notices = log.getChild(NOTICE)
  return {
    returned: (address) => forwarding?.returned(address),
    async submit(id, given, { away, forwarded, arrival }, message, before) {
      const envelope = queueEnvelope(given)
      await submit({
        id,
        envelope,
        recipients: away.map(recipientOf),
        pieces: message,
        ...(forwarded.length > 0 && {
          copies: (open) => copiesOf(forwarding, { id, envelope, forwarded, arrival }, open),
        }),
        before: (open) => before(open as () => AsyncIterable<Uint8Array>),
      }).catch((error: unknown) => {
        throw refusalOf(error)
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

/** @throws Refusal */
async function copiesOf(
  forwarding: Forwarding | undefined,
  mail: ForwardedMail,
  open: () => Pieces,
): Promise<readonly NewCopy[]> {
  if (forwarding === undefined) throw new Refusal(NO_SECRETS)
  return forwarding.copies(mail, open)
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
  const spool = await openSpool(settings)
  const queue = await openQueue(settings, { role: 'submitter' })
  return onwardWith({
    forwarding,
    log,
    async submit(mail) {
      await submit(mail, { queue, spool, destinationOf })
      added()
    },
  })
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
