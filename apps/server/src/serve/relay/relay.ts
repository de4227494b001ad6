/** Opens the queue and the relay of `postern serve`, and tells the log what becomes of mail that is sent on. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { AddressBook } from '@postern/intake/guards'
import { parseAddress, type Rules } from '@postern/intake/directory'
import { countTls, Relay, type RelayOptions } from '@postern/relay'
import { eventsFor, type HereDeps, keepHere, timeoutsOf } from '@postern/relay/onward'
import type { Resolver } from '@postern/dns'
import type { MailStore } from '@postern/storage'
import type { Logger } from '@logtape/logtape'
import type { Settings } from '../../config/settings.ts'
import { errorText, unreadable } from '../../host/failure.ts'
import { loadRuntime } from '../../host/runtime.ts'
import { destinationsOf, onwardWith, openQueue, queueFailure, type ServerOnward } from './onward.ts'
import { type ConnectDeps, connectTo, routerOf } from './router.ts'
import { signerOf } from './signer.ts'
import { openForwarding } from './srs-secrets.ts'
import { openStsPolicies } from './sts-policies.ts'
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
export interface OpenRelay extends ServerOnward {
  /** Begins to send. */
  start(): void
  /** Looks at the queue, because a worker has added a message. */
  added(): void
  /** Stops to send. Deliveries in progress have this time to end. */
  close(graceMs: number): Promise<void>
}

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
  const { connect } = await loadRuntime()
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
    const { queue, spool } = await openQueue(settings, true)
    const mx = options.relay === 'mx' ? { settings, resolver: await resolver(), ca, log } : undefined
    const sts = mx && (await openStsPolicies(mx))
    const reports = mx && (await openTlsReports(mx))
    const connectHop: RelayOptions['connect'] = (hop, isInClear, signal) =>
      connectTo(hop, isInClear, signal, connectDeps)
    const relay = new Relay({
      hostname: options.hostname,
      queue,
      spool,
      router: routerOf(settings, mx && sts && { ...mx, policies: sts.policies, tlsCounts: reports?.counts }),
      connect: reports === undefined ? connectHop : countTls(connectHop, reports.counts),
      ...(sign !== undefined && { sign }),
      rewriteSender: forwarding.rewriteSender,
      destinationOf: destinationsOf(settings, book),
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
      // What is older than this process is a leftover. Its workers may write into the spool while the relay tidies it.
      orphanAgeMs: 0,
      events: eventsFor(log, errorText),
    })
    return {
      ...onwardWith({ forwarding, log, submit: (mail) => relay.submit(mail) }),
      start() {
        relay.start()
        reports?.start((mail) => relay.submit(mail))
      },
      added: () => relay.added(),
      async close(graceMs) {
        await reports?.close()
        await relay.stop(graceMs)
        await sts?.close()
        await queue.close()
      },
    }
  } catch (error) {
    throw queueFailure(settings, error)
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
