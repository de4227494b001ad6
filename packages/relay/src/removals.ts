/**
 * Removes messages that nobody needs any more, behind the deliveries. It gathers them for a moment and removes many at a time, because
 * they then share the waits for the disk. A crash leaves them to the next start.
 */
import type { Queue } from './queue/queue.ts'
import type { Spool } from './spool.ts'

export interface Removal {
  readonly messageId: string
  /** The finished entry of the message, if the queue still has it. */
  readonly entryId?: string | undefined
}

export interface RemovalsDeps {
  readonly queue: Pick<Queue, 'remove'>
  readonly spool: Pick<Spool, 'remove'>
  failed(error: unknown): void
}

/** Removals that are gathered. */
const BATCH = 100
/** Messages that are removed at the same time, so that new ones are not late. */
const AT_ONCE = 16
/** Removals that may wait. Then callers wait too. */
const MAX_WAITING = 1_000
const GATHERING_MS = 100

export class Removals {
  readonly #deps: RemovalsDeps
  readonly #waiting: Removal[] = []
  #running: Promise<void> | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #room: PromiseWithResolvers<void> | undefined

  constructor(deps: RemovalsDeps) {
    this.#deps = deps
  }

  /** Removes a message soon. Returns a promise if the caller has to wait before it asks for more. */
  add(removal: Removal): Promise<void> | undefined {
    this.#waiting.push(removal)
    if (this.#waiting.length >= BATCH) this.#begin()
    else this.#timer ??= setTimeout(() => this.#begin(), GATHERING_MS)
    if (this.#waiting.length < MAX_WAITING) return undefined
    this.#room ??= Promise.withResolvers()
    return this.#room.promise
  }

  /** Makes all removals that were asked for. */
  async end(): Promise<void> {
    while (this.#waiting.length > 0 || this.#running !== undefined) {
      this.#begin()
      await this.#running
    }
  }

  #begin(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#running ??= this.#run().finally(() => (this.#running = undefined))
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#remove(this.#waiting.splice(0, BATCH))
      this.#room?.resolve()
      this.#room = undefined
    }
  }

  /** Removes entries before their messages, so that no entry is without its message. */
  async #remove(batch: readonly Removal[]): Promise<void> {
    const { queue, spool, failed } = this.#deps
    const entries = batch.flatMap(({ entryId }) => entryId ?? [])
    try {
      if (entries.length > 0) await queue.remove(entries)
    } catch (error) {
      return failed(error)
    }
    for (let at = 0; at < batch.length; at += AT_ONCE) {
      const some = batch.slice(at, at + AT_ONCE)
      await Promise.all(some.map(({ messageId }) => spool.remove(messageId).catch(failed)))
    }
  }
}
