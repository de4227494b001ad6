/**
 * Owns the queue of a Durable Object, and sends what is due. The object's alarm drives it: an alarm is set to the time when the next delivery
 * is due. So the object wakes by itself after it was removed from memory, or after a restart.
 *
 * An alarm is durable before the entry that needs it. While the object sends, a further alarm stands, in case that it ends in the middle.
 */
import type { ListQueueOptions, NewEntry, Queue, QueueEntry, QueuePage, QueueStats } from '@postern/relay'
import { type ObjectStorage, openObjectQueue } from '@postern/relay/durable-object'
import { errorText, log } from '../log.ts'
import type { RelayPart } from './part.ts'
import type { ChosenEntries, QueueAction, RemoteQueue } from './rpc.ts'

/** What the owner uses of a `DurableObjectStorage`. */
export interface OwnerStorage extends ObjectStorage {
  setAlarm(at: number): Promise<void>
  deleteAlarm(): Promise<void>
  get(key: string): Promise<unknown>
  put(key: string, value: number): Promise<void>
}

/** Cloudflare ends an alarm after 15 minutes. The next one goes on. */
const SENDING_MS = 600_000
/** If the object ends while it sends, it begins again after this time. */
const GUARD_MS = 5_000
/** After a failure that is not the smarthost's, such as a wrong setting. */
const FAILED_MS = 60_000
/** While the settings turn the relay off, somebody may turn it on again. */
const OFF_MS = 3_600_000
const TIDY_MS = 86_400_000
const TIDIED_AT = 'tidiedAt'
const PAGE = 200

const STATES: Readonly<Record<QueueAction, readonly string[]>> = {
  retry: ['waiting', 'due'],
  hold: ['waiting', 'due'],
  release: ['held'],
  delete: ['waiting', 'due', 'held', 'finished'],
}

export class QueueOwner implements RemoteQueue {
  readonly #storage: OwnerStorage
  readonly #open: () => RelayPart
  #queue: Queue | undefined
  #sender: { readonly part: RelayPart; readonly relay: ReturnType<RelayPart['makeRelay']> } | undefined
  #isSending = false
  /** Something has changed since the alarm began. */
  #isCalled = false

  /** @param open Opens the settings and the store. It may throw */
  constructor(storage: OwnerStorage, open: () => RelayPart) {
    this.#storage = storage
    this.#open = open
  }

  async add(entries: readonly NewEntry[]): Promise<void> {
    const queue = this.#ownQueue()
    // In this order and without a wait in between, the alarm is durable with the entries or before them.
    const alarm = this.#call()
    await Promise.all([alarm, queue.add(entries)])
    this.#sender?.relay.wake()
  }

  list(options: ListQueueOptions): Promise<QueuePage> {
    return this.#ownQueue().list(options)
  }

  show(id: string): Promise<QueueEntry | undefined> {
    return this.#ownQueue().get(id)
  }

  stats(): Promise<QueueStats> {
    return this.#ownQueue().stats()
  }

  async change(action: QueueAction, chosen: ChosenEntries): Promise<number> {
    const queue = this.#ownQueue()
    let count = 0
    const fits = ({ deliveries }: QueueEntry): boolean => deliveries.some(({ state }) => STATES[action].includes(state))
    if ('ids' in chosen) {
      const entries = await Promise.all(chosen.ids.map((id) => queue.get(id)))
      count = await this.#apply(
        action,
        entries.flatMap((entry) => (entry !== undefined && fits(entry) ? [entry.id] : [])),
      )
    } else {
      const destination = 'destination' in chosen ? chosen.destination : undefined
      let cursor: string | undefined
      do {
        const page = await queue.list({ limit: PAGE, destination, cursor })
        count += await this.#apply(
          action,
          page.entries.filter(fits).map(({ id }) => id),
        )
        cursor = page.cursor
      } while (cursor !== undefined)
    }
    await this.#call()
    // Who retries a message knows more of its destination than its last answer says.
    if (action === 'retry' || action === 'release') this.#sender?.relay.endRests()
    return count
  }

  /** Sends what is due, and sets the next alarm. Never rejects, because workerd stops to retry an alarm that fails too often. */
  async alarm(): Promise<void> {
    this.#isSending = true
    this.#isCalled = false
    await this.#storage.setAlarm(Date.now() + GUARD_MS)
    let nextAt: number | undefined
    try {
      nextAt = await this.#send()
    } catch (error) {
      log('error', 'the relay failed; its mail stays in the queue', { error: errorText(error) })
      nextAt = Date.now() + FAILED_MS
    }
    this.#isSending = false
    if (this.#isCalled) nextAt = Date.now()
    await (nextAt === undefined ? this.#storage.deleteAlarm() : this.#storage.setAlarm(nextAt))
  }

  async #send(): Promise<number | undefined> {
    const queue = this.#ownQueue()
    const part = this.#open()
    if (part.intake === undefined) {
      const { entries } = await queue.stats({ maxDestinations: 0 })
      if (entries === 0) return undefined
      log('warn', 'mail waits in the queue, and POSTERN_RELAY is off', { entries })
      return Date.now() + OFF_MS
    }
    if (this.#sender?.part !== part) {
      await this.#removeFinished()
      this.#sender = { part, relay: part.makeRelay(queue) }
    }
    const { relay } = this.#sender
    const [nextAt] = await Promise.all([relay.sendDue(SENDING_MS), this.#tidy(relay)])
    return nextAt
  }

  /** Removes entries that were finished when the object ended, with their messages. */
  async #removeFinished(): Promise<void> {
    let cursor: string | undefined
    do {
      const page = await this.#ownQueue().list({ state: 'finished', limit: PAGE, cursor })
      const done = page.entries.filter(({ deliveries }) => deliveries.every(({ state }) => state === 'finished'))
      await this.#apply(
        'delete',
        done.map(({ id }) => id),
      )
      cursor = page.cursor
    } while (cursor !== undefined)
  }

  /** Once a day, removes what a crash has left in the spool. */
  async #tidy(relay: { tidy(): Promise<void> }): Promise<void> {
    try {
      const tidiedAt = Number((await this.#storage.get(TIDIED_AT)) ?? 0)
      if (Date.now() - tidiedAt < TIDY_MS) return
      await this.#storage.put(TIDIED_AT, Date.now())
      await relay.tidy()
    } catch (error) {
      log('error', 'the spool could not be tidied', { error: errorText(error) })
    }
  }

  /** Sets an alarm for now; while the object sends, the end of the alarm does it. */
  #call(): Promise<void> {
    this.#isCalled = true
    return this.#isSending ? Promise.resolve() : this.#storage.setAlarm(Date.now())
  }

  async #apply(action: QueueAction, ids: readonly string[]): Promise<number> {
    const queue = this.#ownQueue()
    if (action === 'retry') return queue.retry(ids, Date.now())
    if (action === 'hold') return queue.hold(ids)
    if (action === 'release') return queue.unhold(ids)
    const spool = this.#open().spool
    const entries = await Promise.all(ids.map((id) => queue.get(id)))
    const count = await queue.remove(ids)
    for (const entry of entries) if (entry !== undefined) await spool.remove(entry.messageId)
    return count
  }

  /** Opens the queue at the first call, so that an error reaches whoever calls. @throws QueueError `other-version`, `unavailable` */
  #ownQueue(): Queue {
    return (this.#queue ??= openObjectQueue(this.#storage))
  }
}
