/** Opens the queue and the relay of `postern serve`, and tells the log what becomes of mail that is sent on. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import type { ForwardPath, Reply } from '@postern/engine'
import type { Onward } from '@postern/intake'
import { type AddressBook, domainsGuard } from '@postern/intake/guards'
import { parseAddress, type RecipientAddress, type Rules } from '@postern/intake/directory'
import { countTls, isQueueError, LOCAL, Relay, type RelayOptions, Spool } from '@postern/relay'
import {
  domainOf,
  eventsFor,
  type HereDeps,
  keepHere,
  queueEnvelope,
  recipientOf,
  timeoutsOf,
} from '@postern/relay/onward'
import type { Resolver } from '@postern/dns'
import type { MailStore } from '@postern/storage'
import type { Logger } from '@logtape/logtape'
import type { Settings } from '../../config/settings.ts'
import { errorText, Failure, unreadable } from '../../host/failure.ts'
import { loadRuntime } from '../../host/runtime.ts'
import { NOTICE } from '../logs/log.ts'
import { queuePath, spoolPath } from './paths.ts'
import { type ConnectDeps, connectTo, routerOf } from './router.ts'
import { signerOf } from './signer.ts'
import { openForwarding } from './srs-secrets.ts'
import { openTlsReports } from './tls-reports.ts'
import { webhookHandOver } from './webhooks.ts'

export interface RelayDeps {
  readonly settings: Settings
  readonly store: MailStore
  /** Returns the addresses that receive mail. undefined: those of `domains`. */
  readonly book: (() => AddressBook) | undefined
  rules(): Rules
  readonly log: Logger
  /** Makes the resolver that `mx` needs. */
  resolver(): Promise<Resolver>
}

/** The relay of a server, as the server uses it. */
export interface OpenRelay extends Onward {
  /** Returns whom a bounce of forwarded mail goes to, a refusal of a forged one, or undefined for an ordinary address. */
  returned(address: RecipientAddress): string | Reply | undefined
  /** Begins to send. */
  start(): void
  /** Stops to send. Deliveries in progress have this time to end. */
  close(graceMs: number): Promise<void>
}

type IsOurs = (address: string) => boolean | Promise<boolean>

/** Opens the relay; undefined if it is off. @throws Failure */
export async function openRelay({
  settings,
  store,
  book,
  rules,
  log,
  resolver,
}: RelayDeps): Promise<OpenRelay | undefined> {
  const { options, spelled } = settings
  if (options.relay === 'off') return undefined
  const [{ openSqliteQueue }, { fs }, { connect }] = await Promise.all([
    import('@postern/relay/sqlite'),
    import('@postern/storage/fs'),
    loadRuntime(),
  ])
  const ours = oursOf(settings, book)
  const ca = options.relayCa.map((path) => readCa(path, spelled('relayCa')))
  const connectDeps: ConnectDeps = {
    connect,
    hostname: options.hostname,
    ca,
    connectTimeoutMs: options.relayConnectTimeoutMs,
    timeouts: options.relayTimeoutMs === undefined ? undefined : timeoutsOf(options.relayTimeoutMs),
  }
  const sign = await signerOf(settings, log)
  const forwarding = await openForwarding(settings)
  try {
    await mkdir(options.queue, { recursive: true, mode: 0o700 })
    const queue = await openSqliteQueue(queuePath(options.queue))
    const names = options.relay === 'mx' ? await resolver() : undefined
    const reports = names && (await openTlsReports({ settings, resolver: names, ca, log }))
    const connectHop: RelayOptions['connect'] = (hop, isInClear, signal) =>
      connectTo(hop, isInClear, signal, connectDeps)
    const relay = new Relay({
      hostname: options.hostname,
      queue,
      spool: new Spool(fs(spoolPath(options.queue))),
      router: await routerOf(settings, names, ca, reports?.counts),
      connect: reports === undefined ? connectHop : countTls(connectHop, reports.counts),
      ...(sign !== undefined && { sign }),
      rewriteSender: forwarding.rewriteSender,
      destinationOf: async (address) => ((await ours(address)) ? LOCAL : domainOf(address)),
      makeId: () => randomBytes(20).toString('hex'),
      handOver: webhookHandOver(rules),
      keepHere: (mail) =>
        keepHere(mail, { store, parseAddress, ...(book !== undefined && { accountsOf: accountsIn(book) }) }),
      schedule: {
        firstRetryMs: options.relayFirstRetryMs,
        maxRetryMs: options.relayMaxRetryMs,
        delayNoticeAfterMs: options.relayDelayNoticeMs,
        giveUpAfterMs: options.relayGiveUpMs,
      },
      congestion: { maxPlaces: options.relayMaxPerDestination },
      maxDeliveries: options.relayMaxDeliveries,
      // The owner of the queue is the only one who writes into the spool.
      orphanAgeMs: 0,
      events: eventsFor(log, errorText),
    })
    return {
      start() {
        relay.start()
        reports?.start((mail) => relay.submit(mail))
      },
      returned: (address) => forwarding.returned(address),
      submit: async (id, given, { away, forwarded }, message, before) => {
        const envelope = queueEnvelope(given)
        await relay.submit({
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
          to: recipients.slice(0, 20).map(({ address }) => address),
          recipientCount: recipients.length,
        })
        const notices = log.getChild(NOTICE)
        if (away.length > 0) notices.info('message queued', said(away))
        if (forwarded.length > 0) notices.info('message queued by a rule', said(forwarded))
      },
      async close(graceMs) {
        await reports?.close()
        await relay.stop(graceMs)
        await queue.close()
      },
    }
  } catch (error) {
    if (error instanceof Failure) throw error
    const reason = isQueueError(error) ? error.message : errorText(error)
    throw new Failure(`${spelled('queue')} ${options.queue}: ${reason}`, undefined, { cause: error })
  }
}

function readCa(path: string, named: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw unreadable(`${named} ${path}`, error)
  }
}

/** Returns what finds the accounts of an address; it returns undefined if the address has no mailbox. */
function accountsIn(book: () => AddressBook): NonNullable<HereDeps['accountsOf']> {
  return async (address) => {
    const found = await book().resolve(address)
    return found.kind === 'accounts' ? found.accounts : undefined
  }
}

/** Returns what tells whether an address is one of this server's. */
function oursOf({ options: { domains } }: Settings, book: (() => AddressBook) | undefined): IsOurs {
  const guard = domains === undefined ? undefined : domainsGuard(domains)
  return async (address) => {
    const path = parseAddress(address)
    if (path === undefined) return false
    if (book !== undefined) return (await book().resolve(path)).kind !== 'elsewhere'
    return guard?.rcpt({ ...path, address } as ForwardPath) === undefined
  }
}
