/** Records what became of deliveries, and writes the reports that are due. A result is durable before its message is removed. */
import { isStorageError } from '@postern/storage'
import type { Attempt } from './delivery/attempt.ts'
import { settlingOf } from './delivery/settling.ts'
import type { Incoming } from './incoming.ts'
import type { RelayOptions } from './options.ts'
import type { NewEntry, QueueEnvelope } from './queue/entry.ts'
import type { Claim, RecipientResult, Settled } from './queue/queue.ts'
import type { Removals } from './removals.ts'
import { type DueReport, makeReport } from './report/index.ts'
import type { RetrySchedule } from './schedule.ts'

export interface BookkeepingDeps {
  readonly options: Pick<RelayOptions, 'events' | 'hostname' | 'makeId' | 'queue' | 'spool'>
  readonly schedule: RetrySchedule
  readonly incoming: Incoming
  readonly removals: Removals
}

export class Bookkeeping {
  readonly #deps: BookkeepingDeps

  constructor(deps: BookkeepingDeps) {
    this.#deps = deps
  }

  /** Records the results of an attempt together with the reports that they make due. */
  async settle(claim: Claim, tried: Attempt, now: number): Promise<void> {
    const { options, schedule, incoming, removals } = this.#deps
    const { events, queue } = options
    if (tried.mayBeAccepted) events?.unanswered?.(claim)
    const { results, dueAt, reports } = settlingOf(claim, tried, schedule, now, Math.random())
    const written: { readonly report: DueReport; readonly entry: NewEntry }[] = []
    let settled: Settled | undefined
    try {
      for (const report of reports) {
        const entry = await this.#report(claim, report, now)
        if (entry !== undefined) written.push({ report, entry })
      }
      ;[settled] = await queue.settle([
        {
          claim,
          results,
          removeIfFinished: true,
          ...(dueAt !== undefined && { dueAt }),
          ...(written.length > 0 && { add: written.map(({ entry }) => entry) }),
        },
      ])
    } finally {
      incoming.forget(written.map(({ entry }) => entry.messageId))
    }
    events?.attempted?.(claim, results, dueAt)
    for (const { report, entry } of written) {
      if (settled?.status === 'gone') await removals.add({ messageId: entry.messageId })
      else events?.reported?.(claim, report, entry.id)
    }
    if (settled?.isFinished === true) await this.#remove(claim, settled)
  }

  /** Fails a delivery whose message is gone. Its sender cannot be told, because a report shows the message. */
  async giveUp(claim: Claim): Promise<void> {
    const { events, queue } = this.#deps.options
    const reply = { at: Date.now(), code: 0, enhancedCode: '5.3.0', text: 'the message is not in the spool', host: '' }
    const results = claim.recipients.map(({ index }): RecipientResult => ({ index, state: 'failed', reply }))
    const [settled] = await queue.settle([{ claim, results, removeIfFinished: true }])
    events?.attempted?.(claim, results, undefined)
    if (settled?.isFinished === true) await this.#remove(claim, settled)
  }

  #remove({ id, messageId }: Claim, { isRemoved }: Settled): Promise<void> | undefined {
    return this.#deps.removals.add({ messageId, ...(isRemoved !== true && { entryId: id }) })
  }

  /**
   * Writes a report to the spool. Returns its entry, or undefined if the report cannot be made, which is a bug: the message must not be
   * sent again and again because of it.
   * @throws StorageError
   */
  async #report(claim: Claim, report: DueReport, now: number): Promise<NewEntry | undefined> {
    try {
      return await this.#write(claim, report, now)
    } catch (error) {
      if (isStorageError(error)) throw error
      this.#deps.options.events?.failed?.(error)
      return undefined
    }
  }

  async #write(claim: Claim, { kind, recipients }: DueReport, now: number): Promise<NewEntry> {
    const { options, incoming } = this.#deps
    const { hostname, makeId, spool } = options
    const id = makeId()
    const report = await makeReport({
      kind,
      id,
      now,
      hostname,
      message: claim,
      recipients,
      read: () => spool.open(claim.messageId),
    })
    const size = await incoming.save(id, report.content).catch((error: unknown) => {
      incoming.forget([id])
      throw error
    })
    const envelope: QueueEnvelope = {
      reversePath: '',
      body: report.body,
      smtpUtf8: report.smtpUtf8,
      size,
      ...(report.requireTls && { requireTls: true as const }),
    }
    return incoming.entryOf(id, envelope, [{ address: report.forwardPath, notify: report.notify }])
  }
}
