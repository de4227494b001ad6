/** Opens the queue and the relay of `postern serve`, and tells the log what becomes of mail that is sent on. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { AddressBook } from '@postern/intake/guards'
import { parseAddress, type Rules } from '@postern/intake/directory'
import { countTls, Relay, type RelayOptions } from '@postern/relay'
import type { NatsQueueEvents } from '@postern/relay/nats'
import { eventsFor, type HereDeps, keepHere, timeoutsOf, webhookHandOver } from '@postern/relay/onward'
import type { Resolver } from '@postern/dns'
import type { MailStore } from '@postern/storage'
import type { Logger } from '@logtape/logtape'
import type { Settings } from '../../config/settings.ts'
import { errorText, unreadable } from '../../host/failure.ts'
import { loadRuntime } from '../../host/runtime.ts'
import { destinationsOf, onwardWith, type ServerOnward } from './onward.ts'
import { post } from './post.ts'
import { openQueue, openSpool } from './queue.ts'
import { type ConnectDeps, connectTo, routerOf } from './router.ts'
import { signerOf } from './signer.ts'
import { openForwarding } from './srs-secrets.ts'
import { openStsPolicies } from './sts-policies.ts'
import { openTlsReports } from './tls-reports.ts'

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

/** How long results may wait for a queue that is away when the server stops. */
const QUEUE_GRACE_MS = 5_000

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
  const spool = await openSpool(settings)
  const isShared = options.queue.scheme === 'nats'
  let made: Relay | undefined
  const queue = await openQueue(settings, { role: 'sender', events: queueEvents(log, () => made?.wake()) })
  try {
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
      ...(forwarding !== undefined && { rewriteSender: forwarding.rewriteSender }),
      destinationOf: destinationsOf(settings, book),
      makeId: () => randomBytes(20).toString('hex'),
      handOver: webhookHandOver(rules, { post, errorText }),
      keepHere: (mail) =>
        keepHere(mail, {
          store,
          summary: options.summary === 'on',
          parseAddress,
          ...(book !== undefined && { accountsOf: accountsIn(book) }),
        }),
      schedule: {
        firstRetryMs: options.relayFirstRetryMs,
        maxRetryMs: options.relayMaxRetryMs,
        delayNoticeAfterMs: options.relayDelayNoticeMs,
        giveUpAfterMs: options.relayGiveUpMs,
      },
      congestion: { maxPlaces: options.relayMaxPerDestination },
      maxDeliveries: options.relayMaxDeliveries,
      // What is older than this process is a leftover. Its workers may write into the spool while the relay tidies it.
      ...(!isShared && { orphanAgeMs: 0 }),
      events: eventsFor(log, errorText),
    })
    made = relay
    return {
      ...onwardWith({ forwarding, log, submit: (mail) => relay.submit(mail) }),
      start() {
        relay.start()
        reports?.start((mail) => relay.submit(mail))
      },
      added: () => relay.added(),
      async close(graceMs) {
        await reports?.close()
        const stopped = relay.stop(graceMs)
        // Deliveries that have ended may wait to tell a queue that is away. They end when it is closed.
        if (isShared) await Promise.race([stopped, setTimeout(graceMs + QUEUE_GRACE_MS, undefined, { ref: false })])
        else await stopped
        await sts?.close()
        await queue.close()
        await stopped
      },
    }
  } catch (error) {
    await queue.close()
    throw error
  }
}

/** Tells the log, and the relay, what a queue in NATS tells. */
function queueEvents(log: Logger, wake: () => void): NatsQueueEvents {
  return {
    lost: ({ message }) =>
      log.error('the queue is lost: mail to be sent on gets 451 until it is back', { reason: message }),
    back: () => log.info('the queue is back: mail to be sent on is accepted again'),
    changed: wake,
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
