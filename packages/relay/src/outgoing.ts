/** Makes the attempt of one delivery: to other servers, to this server's own mailboxes, or to what takes mail in place of a server. */
import { attempt, type Attempt, type AttemptDeps, type Mail, type Result } from './delivery/attempt.ts'
import type { Connections } from './delivery/connections.ts'
import { envelopeOf, expired, merged } from './delivery/mail.ts'
import { octetFacts } from './delivery/octets.ts'
import { type HandedOver, type KeptHere, LOCAL, type RelayOptions } from './options.ts'
import { joined, onTop, type Pieces } from './pieces.ts'
import type { Claim } from './queue/queue.ts'
import { expiryOf } from './schedule.ts'

/**
 * A message of at most so many octets is read as a whole. The client then sends it together with its commands, in one write, if the
 * server allows that. A larger one is read as a stream, so it is never in memory as a whole.
 */
const MAX_WHOLE_OCTETS = 65_536
const NOTHING = new Uint8Array(0)

export class Outgoing {
  readonly #options: RelayOptions
  readonly #deps: AttemptDeps
  readonly #signal: AbortSignal

  /** @param signal Aborted when the relay stops */
  constructor(options: RelayOptions, connections: Connections, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#deps = {
      connections,
      connect: (hop, isInClear, stopped) => options.connect(hop, isInClear, stopped),
      hopFailed: (hop, error) => options.events?.hopFailed?.(hop, error),
    }
  }

  /** Returns 'stopped' if the relay stopped before anything was learnt. */
  async attempt(claim: Claim): Promise<Attempt | 'stopped'> {
    if (expiryOf(claim.envelope, Date.now()) !== undefined) return expired(claim)
    if (claim.destination === LOCAL) return this.#keepHere(claim)
    const take = this.#options.handOver?.(claim.destination)
    return take === undefined ? this.#send(claim) : this.#handOver(claim, take)
  }

  async #send(claim: Claim): Promise<Attempt | 'stopped'> {
    const { router, spool, sign, rewriteSender, maxRecipients = 100 } = this.#options
    const { destination, envelope, messageId, recipients } = claim
    const { requireTls = false, isTlsReport } = envelope
    const route = await router.route(destination, { requireTls, isTlsReport })
    const whole = await spool.whole(messageId, MAX_WHOLE_OCTETS)
    const open = (): Pieces => (whole === undefined ? spool.open(messageId) : [whole])
    // Signed once for all hops and transactions of the attempt.
    const top = 'hops' in route ? ((await sign?.(open, claim)) ?? NOTHING) : NOTHING
    const signed = whole === undefined || top.length === 0 ? whole : joined([top, whole])
    const { reversePath: written, forwardedBy } = envelope
    const reversePath = forwardedBy === undefined ? written : (rewriteSender?.(written, forwardedBy) ?? written)
    const attempts: Attempt[] = []
    for (let at = 0; at < recipients.length; at += maxRecipients) {
      const mail: Mail = {
        envelope: { ...envelopeOf(claim, at, at + maxRecipients, top.length), reversePath },
        open: () => signed ?? onTop(top, open()),
        facts: () => octetFacts(open()),
      }
      const tried = await attempt(route, mail, this.#deps, this.#signal)
      if (this.#signal.aborted && !tried.mayBeAccepted && attempts.length === 0) return 'stopped'
      attempts.push(tried)
    }
    return merged(attempts)
  }

  /** Keeps a message for recipients of this server. */
  async #keepHere({ envelope, messageId, recipients }: Claim): Promise<Attempt> {
    const { hostname, keepHere, spool } = this.#options
    const addresses = recipients.map(({ address }) => address)
    const kept = await keepHere?.({ envelope, addresses, open: () => spool.open(messageId) })
    const results = addresses.map((_, at): Result => {
      const one = kept?.[at] ?? { state: 'failed', code: 550, enhancedCode: '5.1.1', text: 'no such mailbox here' }
      return { ...one, host: hostname, passesNotify: false }
    })
    return { results, learnt: 'none', mayBeAccepted: false }
  }

  async #handOver(
    { envelope, messageId, recipients }: Claim,
    take: (mail: HandedOver) => Promise<readonly KeptHere[]>,
  ): Promise<Attempt | 'stopped'> {
    const signal = this.#signal
    const open = (): Pieces => this.#options.spool.open(messageId)
    const results = await take({ id: messageId, envelope, recipients, signal, open })
    if (signal.aborted && results.every(({ state }) => state === 'temporary')) return 'stopped'
    return {
      results: results.map((one): Result => ({ ...one, host: '', passesNotify: false })),
      learnt: 'none',
      mayBeAccepted: false,
    }
  }
}
