/**
 * The contract of a queue of mail that is to be sent on.
 *
 * An entry is one message. Its recipients are grouped by destination, and each group is a delivery. A delivery is claimed, tried and
 * settled as a whole, and each recipient has its own result.
 *
 * A queue in a file has one owner. Only the owner claims, so leases are in its memory, and they end with it. Other processes, and other
 * threads of the owner, may add entries and manage them. Of a queue in NATS, every process claims, and the leases are in the queue.
 */
import type { AttemptReply, NewEntry, QueueEntry, QueueEnvelope, QueueRecipient } from './entry.ts'
import type { ListQueueOptions, QueuePage, QueueStats, QueueStatsOptions } from './listing.ts'

export type { ListQueueOptions, QueuePage, QueueStats, QueueStatsOptions } from './listing.ts'

export interface Queue extends AsyncDisposable {
  /**
   * Adds entries: all of them, or none if the promise rejects. When the promise resolves, they are durable. Entries whose id is there
   * already are left as they are. Calls at the same time share one transaction.
   *
   * @param entries At most 1,000, with at most 10,000 recipients together
   * @throws QueueError `invalid`, `full`, `busy`, `closed`, `unavailable`
   */
  add(entries: readonly NewEntry[]): Promise<void>
  /**
   * Leases deliveries that are due and not held, those of a higher priority first. Destinations take turns, and of one destination the
   * delivery that has been due for longest comes first. Until the lease ends, no other claim gets the delivery.
   *
   * It may return fewer than `max` although more are due, if the destinations of the others have no free place.
   *
   * @throws QueueError `not-owner`, `invalid`, `busy`, `closed`, `corrupt`, `unavailable`
   */
  claim(options: ClaimOptions): Promise<readonly Claim[]>
  /**
   * Moves the end of leases. Returns those claims whose lease had not ended. The caller must stop the work on the others, because
   * somebody else may have them.
   */
  renew(claims: readonly Claimed[], leaseEndsAt: number): Promise<readonly Claimed[]>
  /**
   * Records the results of attempts and ends their leases. When the promise resolves, results and added entries are durable. Each
   * settlement is applied as a whole. Returns one answer for each, in order. If the promise rejects, the leases go on, and the
   * caller may settle again.
   *
   * @param settlements At most 1,000
   * @throws QueueError `not-owner`, `invalid`, `full`, `busy`, `closed`, `corrupt`, `unavailable`
   */
  settle(settlements: readonly Settlement[]): Promise<readonly Settled[]>
  /** Ends leases without a result, because the attempt was not made. The deliveries stay due. */
  release(claims: readonly Claimed[]): Promise<void>
  /**
   * Returns when the next delivery is due that is not leased and not held: a time in the past if one is due now, undefined if there is
   * none. If a time has passed and `claim` returns nothing, the destinations have no free place: the caller waits until it
   * has settled something. Another process may add entries meanwhile, so the caller asks again every few seconds.
   */
  nextDueAt(): Promise<number | undefined>
  /** Returns one page of entries, in the order in which they were added. */
  list(options?: ListQueueOptions): Promise<QueuePage>
  get(id: string): Promise<QueueEntry | undefined>
  /** Holds all deliveries of entries that are not finished. An attempt that is on its way goes on. Returns how many entries there are. */
  hold(ids: readonly string[]): Promise<number>
  /** Makes held deliveries due at their time again. Returns how many entries there are. */
  unhold(ids: readonly string[]): Promise<number>
  /** Makes deliveries due now that wait for their next attempt, but not before `holdUntil`. Returns how many entries there are. */
  retry(ids: readonly string[], now: number): Promise<number>
  /** Removes entries in any state. Nobody gets a report. Returns how many entries there were. */
  remove(ids: readonly string[]): Promise<number>
  stats(options?: QueueStatsOptions): Promise<QueueStats>
  /**
   * Returns whether another process or thread has changed the queue since the last call. In a queue in which every process claims, only
   * what an administrator changes counts. Without this method, what others change is noticed at the next `claim`.
   */
  changed?(): Promise<boolean>
  /** Waits for what was asked before, and closes. Leases end. */
  close(): Promise<void>
}

export interface ClaimOptions {
  readonly now: number
  /** 1 to 1,000. */
  readonly max: number
  readonly leaseMs: number
  /**
   * How many deliveries of one destination may be leased at the same time. A function may answer 0 for a destination that has to wait.
   * Default: no bound.
   */
  readonly maxPerDestination?: number | ((destination: string) => number) | undefined
}

/** Names a claim. */
export interface Claimed {
  /** The entry's. */
  readonly id: string
  readonly destination: string
  /** Names this lease. Another claim of the same delivery has another one. */
  readonly lease: string
}

/** A leased delivery. */
export interface Claim extends Claimed {
  readonly leaseEndsAt: number
  readonly messageId: string
  readonly queuedAt: number
  readonly envelope: QueueEnvelope
  /** The number of settled attempts. */
  readonly attempts: number
  /** The recipients that are pending. */
  readonly recipients: readonly ClaimedRecipient[]
}

export interface ClaimedRecipient extends QueueRecipient {
  /** Names the recipient in the settlement. */
  readonly index: number
}

/** The result of one attempt. */
export interface Settlement {
  readonly claim: Claimed
  /** Recipients that are not named stay pending, and no attempt is counted for them. */
  readonly results: readonly RecipientResult[]
  /** When the recipients that are still pending are due. It must be there if there are any. */
  readonly dueAt?: number | undefined
  /**
   * Entries that are added in the same transaction, such as a report to the sender.
   * They are not added if the answer is `gone`, or if it is `late` and nothing was recorded.
   */
  readonly add?: readonly NewEntry[] | undefined
  /**
   * True: the entry is removed in the same transaction if no recipient of it is pending any more. A queue may leave that to the caller;
   * `isRemoved` of the answer says what it did. Default: the entry stays.
   */
  readonly removeIfFinished?: true | undefined
}

export interface RecipientResult {
  readonly index: number
  readonly state: 'pending' | 'delivered' | 'relayed' | 'failed'
  readonly reply?: AttemptReply | undefined
  /** True if the sender has now been told that the message is late. */
  readonly isDelayNotified?: true | undefined
}

export interface Settled {
  /**
   * `late`: the lease had ended. What is final in the results was recorded; the time of the next attempt was not. `gone`: somebody has
   * removed the entry.
   */
  readonly status: 'settled' | 'late' | 'gone'
  /** No recipient of the entry is pending. The entry stays in the queue until the caller removes it, unless `isRemoved`. */
  readonly isFinished: boolean
  /** The entry was removed, as `removeIfFinished` asked. */
  readonly isRemoved?: true
}
