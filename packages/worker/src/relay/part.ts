/** The part of a Worker that sends mail on: it hands mail to the object that has the queue, and makes the relay of that object. */
import { asciiDomain, deliverBy, dsn, type ForwardPath, futureRelease, mtPriority, requireTls } from '@postern/engine'
import { ClientError } from '@postern/engine/client'
import { parseAddress, type RecipientAddress } from '@postern/intake/directory'
import { domainsGuard, rulesGuard } from '@postern/intake/guards'
import { LOCAL, type NewEntry, type Queue, Relay, type Router, Spool, submit } from '@postern/relay'
import {
  addressOf,
  createForwarding,
  domainOf,
  eventsFor,
  type Forwarding,
  hopOf,
  isLmtpDestination,
  keepHere,
  queueEnvelope,
  recipientOf,
  refusalOf,
  type RelayLog,
  signerWith,
  smarthostRouter,
  timeoutsOf,
  webhookDestination,
  webhookHandOver,
} from '@postern/relay/onward'
import { connect } from '@postern/runtime/cloudflare'
import { errorText, log } from '../log.ts'
import type { OpenSendOn, SendOnDeps, SendOnIntake } from '../receiver.ts'
import { queueRequests } from './http.ts'
import { post } from './post.ts'
import type { ReachQueue } from './rpc.ts'
import { MAX_RECIPIENTS, type RelaySettings } from './settings.ts'

/** How long FUTURERELEASE may hold a message: 30 days. */
const MAX_HOLD_SECONDS = 2_592_000
const ID_OCTETS = 20
/** Recipients that one entry of the log shows. */
const MAX_SHOWN = 20

const LOG: RelayLog = {
  info: (message, fields) => log('info', message, fields),
  warn: (message, fields) => log('warn', message, fields),
  error: (message, fields) => log('error', message, fields),
}

export class RelayPart implements OpenSendOn {
  readonly intake: SendOnIntake | undefined
  readonly spool: Spool
  readonly fetch: (request: Request) => Promise<Response>
  readonly #deps: SendOnDeps
  readonly #settings: RelaySettings
  readonly #forwarding: Forwarding | undefined
  readonly #reach: ReachQueue

  constructor(settings: RelaySettings, deps: SendOnDeps, reach: ReachQueue) {
    this.#settings = settings
    this.#deps = deps
    this.#reach = reach
    const { smarthost, srsSecrets } = settings
    this.spool = new Spool(deps.blobs)
    this.#forwarding = srsSecrets.length > 0 ? createForwarding({ secrets: srsSecrets, webhookDestination }) : undefined
    this.intake = smarthost === undefined ? undefined : this.#intake()
    this.fetch = queueRequests(reach, this.spool)
  }

  #intake(): SendOnIntake {
    const { rules } = this.#settings
    const returned: Forwarding['returned'] = (address) => this.#forwarding?.returned(address)
    return {
      // The relay keeps what these promise.
      extensions: [dsn, requireTls, mtPriority(), deliverBy(), futureRelease({ maxSeconds: MAX_HOLD_SECONDS })],
      guards: [rulesGuard(() => rules, { returned })],
      limits: { maxRecipients: MAX_RECIPIENTS },
      receives: (address: RecipientAddress) => rules.decides(address) || returned(address) !== undefined,
      onward: {
        submit: async (id, given, { away, forwarded, arrival }, message, before) => {
          const envelope = queueEnvelope(given)
          const forwarding = this.#forwarding
          const mail = {
            id,
            envelope,
            recipients: away.map(recipientOf),
            pieces: message,
            before: (open: () => unknown) => before(open as () => AsyncIterable<Uint8Array>),
          }
          const deps = {
            spool: this.spool,
            queue: { add: (entries: readonly NewEntry[]) => this.#reach().add(entries) },
            destinationOf: (address: string) => this.#destinationOf(address),
          }
          const isForwarded = forwarded.length > 0 && forwarding !== undefined
          await submit(
            {
              ...mail,
              ...(isForwarded && { copies: (open) => forwarding.copies({ id, envelope, forwarded, arrival }, open) }),
            },
            deps,
          ).catch((error: unknown) => {
            throw refusalOf(error)
          })
          const said = (recipients: readonly ForwardPath[]): Readonly<Record<string, unknown>> => ({
            messageId: id,
            from: envelope.reversePath,
            to: recipients.slice(0, MAX_SHOWN).map(({ address }) => address),
            recipientCount: recipients.length,
          })
          if (away.length > 0) log('info', 'message queued', said(away))
          if (forwarded.length > 0) log('info', 'message queued by a rule', said(forwarded))
        },
      },
    }
  }

  /** Makes the relay of the object that has the queue. */
  makeRelay(queue: Queue): Relay {
    const { settings, mail } = this.#deps
    const { hostname, directory } = settings
    const own = this.#settings
    const sign = signerWith(() => own.keys, hostname)
    const hasKeys = own.keys.length > 0
    return new Relay({
      hostname,
      queue,
      spool: this.spool,
      router: this.#router(),
      connect: (hop, isInClear, signal) =>
        connect(addressOf(hop, isInClear), {
          hostname,
          signal,
          connectTimeoutMs: own.relayConnectTimeoutMs,
          ...(own.relayTimeoutMs > 0 && { timeouts: timeoutsOf(own.relayTimeoutMs) }),
        }),
      ...(hasKeys && {
        sign: async (open, claim) => (isLmtpDestination(claim.destination) ? NOTHING : sign(open, claim)),
      }),
      rewriteSender: (reversePath, forwardedBy) =>
        this.#forwarding?.rewriteSender(reversePath, forwardedBy) ?? reversePath,
      destinationOf: (address) => this.#destinationOf(address),
      handOver: webhookHandOver(() => own.rules, { post, errorText: reasonOf }),
      makeId,
      keepHere: (here) =>
        keepHere(here, {
          store: mail,
          summary: true,
          parseAddress,
          ...(directory !== undefined && {
            accountsOf: async (address) => {
              const found = directory.resolve(address)
              return found.kind === 'accounts' ? found.accounts : undefined
            },
          }),
        }),
      schedule: {
        firstRetryMs: own.relayFirstRetryMs,
        maxRetryMs: own.relayMaxRetryMs,
        delayNoticeAfterMs: own.relayDelayNoticeMs,
        giveUpAfterMs: own.relayGiveUpMs,
      },
      congestion: { maxPlaces: own.relayMaxPerDestination },
      connections: { maxIdle: own.relayMaxDeliveries },
      maxDeliveries: own.relayMaxDeliveries,
      events: eventsFor(LOG, reasonOf),
    })
  }

  #router(): Router {
    const smarthost = smarthostRouter(this.#settings.smarthost ?? '')
    return {
      route: (destination, wish) =>
        isLmtpDestination(destination)
          ? Promise.resolve({ hops: [hopOf(destination)] })
          : smarthost.route(destination, wish),
    }
  }

  #destinationOf(address: string): string {
    return this.#isOurs(address) ? LOCAL : domainOf(address)
  }

  #isOurs(address: string): boolean {
    const { directory, domains = [] } = this.#deps.settings
    const path = parseAddress(address)
    if (path === undefined) return false
    if (directory !== undefined) return directory.resolve(path).kind !== 'elsewhere'
    const domain = asciiDomain(path.domain)
    return domain !== undefined && domainsGuard(domains).rcpt({ ...path, address } as ForwardPath) === undefined
  }
}

/** Returns why something failed. What another server does is no bug, so it needs no stack. */
function reasonOf(error: unknown): string {
  return error instanceof ClientError ? error.message : errorText(error)
}

function makeId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(ID_OCTETS)), (octet) =>
    octet.toString(16).padStart(2, '0'),
  ).join('')
}

const NOTHING = new Uint8Array(0)
