/**
 * Finds new messages in a store, by looking again and again.
 *
 * The id of a message has the time at which the message began, but the message is in the store only once it has been received. So a
 * message can appear after younger ones. A short look finds the messages of the last minutes. A long look, which comes less often,
 * goes back as far as a message can take. The follower remembers the ids of all messages in that time, so it finds each message once.
 *
 * The follower does not use notifications of the operating system: S3 has none, and network file systems have none for changes by
 * other machines. A look lists only the keys of its time. If looks take longer, the pauses grow too, so that looks take a small part of
 * the time.
 */
import { isStorageError, type MailStore, timeOf, type WalkedMail, type WalkMailOptions } from '@postern/storage'
import { setTimeout as pause } from 'node:timers/promises'
import { walkStore } from './walk.ts'

const SHORT_MS = 2 * 60_000
const BETWEEN_SHORT_MS = 1_000
const BETWEEN_LONG_MS = 15_000
/** A pause is at least this many times as long as the look before it. */
const PAUSE_FACTOR = 10
const MAX_REMEMBERED = 500_000

export interface FollowOptions {
  /** How long a message can take from its id to the store. */
  readonly longestMs: number
  readonly signal: AbortSignal
  /** Called once with the error when the store can't be read, and once with undefined when it can be read again. */
  readonly failed: (error: unknown) => void
  readonly now?: () => number
  readonly maxRemembered?: number
  readonly betweenShortMs?: number
  readonly betweenLongMs?: number
}

export class Follower {
  readonly #store: MailStore
  readonly #options: Required<FollowOptions>
  #seen = new Set<string>()
  /** The time before which no look goes back, because the follower forgot older ids. */
  #floorMs = 0

  constructor(store: MailStore, options: FollowOptions) {
    this.#store = store
    this.#options = {
      now: Date.now,
      maxRemembered: MAX_REMEMBERED,
      betweenShortMs: BETWEEN_SHORT_MS,
      betweenLongMs: BETWEEN_LONG_MS,
      ...options,
    }
  }

  /** Remembers the messages that are in the store now, so that `messages` does not yield them. */
  async skipPresent(): Promise<void> {
    const isWanted = (id: string): boolean => {
      this.skip(id)
      return false
    }
    for await (const _ of this.#walk(this.#options.longestMs, { isWanted }));
    this.#forget()
  }

  /** Remembers a message that the caller has already. */
  skip(id: string): void {
    this.#seen.add(id)
  }

  /**
   * Yields new messages until the signal is aborted, nearly in the order in which they come.
   * @throws StorageError if a retry can't help
   */
  async *messages(options: Pick<WalkMailOptions, 'heldBytes'> = {}): AsyncGenerator<WalkedMail> {
    const { signal, failed, now, betweenShortMs, betweenLongMs, longestMs } = this.#options
    let hasFailed = false
    let nextLongMs = 0
    while (!signal.aborted) {
      const beganMs = now()
      const isLong = beganMs >= nextLongMs
      let usedMs = 0
      try {
        const isWanted = (id: string): boolean => !this.#seen.has(id)
        for await (const found of this.#walk(isLong ? longestMs : SHORT_MS, { ...options, isWanted })) {
          this.skip(found.id)
          const yieldedMs = now()
          yield found
          usedMs += now() - yieldedMs
          if (signal.aborted) return
        }
        hasFailed = false
      } catch (error) {
        if (!isStorageError(error, 'unavailable') && !isStorageError(error, 'lost')) throw error
        if (!hasFailed) failed(error)
        hasFailed = true
      }
      if (isLong) this.#forget()
      const tookMs = now() - beganMs - usedMs
      if (isLong) nextLongMs = now() + Math.max(betweenLongMs, PAUSE_FACTOR * tookMs)
      await pause(hasFailed ? betweenLongMs : Math.max(betweenShortMs, PAUSE_FACTOR * tookMs), undefined, {
        signal,
      }).catch(() => undefined)
    }
  }

  #walk(ageMs: number, options: WalkMailOptions): AsyncIterable<WalkedMail> {
    const since = new Date(Math.max(this.#floorMs, this.#options.now() - ageMs))
    return walkStore(this.#store, { ...options, order: 'oldest-first', since })
  }

  /** Forgets ids that are too old for any look, and the oldest ids if there are too many. */
  #forget(): void {
    const { longestMs, now, maxRemembered } = this.#options
    const firstMs = now() - longestMs
    for (const id of this.#seen) if (timeOf(id) < firstMs) this.#seen.delete(id)
    if (this.#seen.size <= maxRemembered) return
    const newest = [...this.#seen].toSorted().slice(-maxRemembered / 2)
    this.#seen = new Set(newest)
    this.#floorMs = timeOf(newest[0] as string)
  }
}
