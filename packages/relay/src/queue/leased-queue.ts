/** What queues share that keep their leases in memory: who gets a delivery, until when, and what a settlement is checked for. */
import { checkSettlements, checkTime, type PreparedEntry, prepareEntries } from './checks.ts'
import { Choice, type DueDeliveries } from './choice.ts'
import type { QueueRecipient } from './entry.ts'
import { Leases } from './leases.ts'
import type { Claim, Claimed, ClaimedRecipient, ClaimOptions, Settlement } from './queue.ts'
import { isPending } from './results.ts'

/** What a backend knows of a delivery that is to be claimed. */
export interface Delivered extends Omit<Claim, 'lease' | 'leaseEndsAt' | 'recipients'> {
  readonly recipients: readonly QueueRecipient[]
}

export abstract class LeasedQueue {
  protected readonly leases: Leases = new Leases()
  readonly #choice = new Choice()

  /** @throws QueueError `closed` */
  protected abstract checkOpen(): void
  abstract close(): Promise<void>

  async renew(claims: readonly Claimed[], leaseEndsAt: number): Promise<readonly Claimed[]> {
    checkTime(leaseEndsAt, 'leaseEndsAt')
    this.checkOpen()
    return this.leases.renew(claims, leaseEndsAt)
  }

  async release(claims: readonly Claimed[]): Promise<void> {
    for (const claim of claims) this.leases.end(claim)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * Leases the deliveries of a claim.
   * @param find Returns undefined if somebody has just removed or held the delivery
   */
  protected lease(due: DueDeliveries, options: ClaimOptions, find: (number: number) => Delivered | undefined): Claim[] {
    const leaseEndsAt = options.now + options.leaseMs
    this.leases.endBefore(options.now)
    return this.#choice.choose(due, this.leases, options).flatMap(({ number }) => {
      const found = find(number)
      if (found === undefined) return []
      const { token: lease } = this.leases.grant(number, found.destination, leaseEndsAt)
      return { ...found, lease, leaseEndsAt, recipients: pendingOf(found.recipients) }
    })
  }

  /**
   * Checks settlements. Returns the entries that each of them adds.
   * @throws QueueError `invalid`
   */
  protected addedBy(settlements: readonly Settlement[], maxTogether?: number): PreparedEntry[][] {
    checkSettlements(settlements)
    return settlements.map(({ add = [] }, at) =>
      prepareEntries(add, { field: `settlements[${at}].add`, ...(maxTogether !== undefined && { maxTogether }) }),
    )
  }
}

function pendingOf(recipients: readonly QueueRecipient[]): ClaimedRecipient[] {
  return recipients.flatMap((recipient, index) => (isPending(recipient) ? [{ ...recipient, index }] : []))
}
