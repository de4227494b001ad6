/** The rows of the tables, and what they are outside. */
import type { PreparedEntry } from '../checks.ts'
import type { DueDeliveries } from '../choice.ts'
import type { DeliveryState, QueueDelivery, QueueEntry, QueueEnvelope, QueueRecipient } from '../entry.ts'
import { QueueError } from '../error.ts'
import type { ListQueueOptions } from '../queue.ts'
import type { Sql } from './sql.ts'

/** By their number in the tables. */
export const STATES: readonly DeliveryState[] = ['waiting', 'due', 'held', 'finished']
export const WAITING: number = STATES.indexOf('waiting')
export const DUE: number = STATES.indexOf('due')
export const HELD: number = STATES.indexOf('held')
export const FINISHED: number = STATES.indexOf('finished')

export interface EntryRow {
  readonly seq: number
  readonly id: string
  readonly message_id: string
  readonly queued_at: number
  readonly hold_until: number
  readonly pending: number
  readonly envelope: string
}

export interface DeliveryRow {
  readonly number: number
  readonly entry: number
  readonly destination: string
  readonly state: number
  readonly due_at: number
  readonly attempts: number
  readonly recipients: string
}

/** A delivery with its entry. */
export type JoinedRow = DeliveryRow & Omit<EntryRow, 'seq'>

/** No priority is as high. */
const ABOVE_ALL = 10

/** The statements on the tables. */
export class Rows implements DueDeliveries {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  insert({ id, messageId, queuedAt, holdUntil, envelope, priority, deliveries }: PreparedEntry): void {
    const [row] = this.#sql.all(
      `INSERT INTO entry (id, message_id, queued_at, hold_until, pending, envelope)
       VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING seq`,
      id,
      messageId,
      queuedAt,
      holdUntil,
      deliveries.length,
      JSON.stringify(envelope),
    )
    if (row === undefined) return
    const query = `INSERT INTO delivery (entry, destination, state, priority, due_at, attempts, recipients)
       VALUES (?, ?, ?, ?, ?, 0, ?)`
    const state = holdUntil === 0 ? DUE : WAITING
    const dueAt = Math.max(queuedAt, holdUntil)
    for (const { destination, recipients } of deliveries)
      this.#sql.run(query, row['seq'] as number, destination, state, priority, dueAt, JSON.stringify(recipients))
  }

  nextPriority(below: number): number | undefined {
    const query = 'SELECT priority FROM delivery WHERE state = 1 AND priority < ? ORDER BY priority DESC LIMIT 1'
    return this.#value(query, Math.min(below, ABOVE_ALL))
  }

  nextDestination(priority: number, after: string): string | undefined {
    return this.#value(
      `SELECT destination FROM delivery WHERE state = 1 AND priority = ? AND destination > ?
       ORDER BY destination LIMIT 1`,
      priority,
      after,
    )
  }

  first(priority: number, destination: string, limit: number): number[] {
    const query = `SELECT number FROM delivery WHERE state = 1 AND priority = ? AND destination = ?
       ORDER BY due_at, number LIMIT ?`
    return this.#all<{ number: number }>(query, priority, destination, limit).map(({ number }) => number)
  }

  /** Returns so many deliveries that are due, in any order. */
  someDue(limit: number): { readonly number: number; readonly due_at: number }[] {
    return this.#all('SELECT number, due_at FROM delivery WHERE state = 1 LIMIT ?', limit)
  }

  /** Returns the deliveries that are due next. */
  firstWaiting(limit: number): { readonly number: number; readonly due_at: number }[] {
    return this.#all('SELECT number, due_at FROM delivery WHERE state = 0 ORDER BY due_at, number LIMIT ?', limit)
  }

  /** Marks deliveries as due whose time has come, those with the earliest time first. */
  makeDue(now: number, limit: number): void {
    this.#sql.run(
      `UPDATE delivery SET state = 1 WHERE number IN
         (SELECT number FROM delivery WHERE state = 0 AND due_at <= ? ORDER BY due_at LIMIT ?)`,
      now,
      limit,
    )
  }

  joined(number: number): JoinedRow | undefined {
    return this.#get('SELECT * FROM delivery JOIN entry ON seq = entry WHERE number = ?', number)
  }

  updateDelivery(row: Pick<DeliveryRow, 'number' | 'state' | 'due_at' | 'attempts' | 'recipients'>): void {
    this.#sql.run(
      'UPDATE delivery SET state = ?, due_at = ?, attempts = ?, recipients = ? WHERE number = ?',
      row.state,
      row.due_at,
      row.attempts,
      row.recipients,
      row.number,
    )
  }

  countFinished(seq: number): void {
    this.#sql.run('UPDATE entry SET pending = pending - 1 WHERE seq = ?', seq)
  }

  seqOf(id: string): number | undefined {
    return this.#value('SELECT seq FROM entry WHERE id = ?', id)
  }

  hold(seq: number): void {
    this.#sql.run('UPDATE delivery SET state = 2 WHERE entry = ? AND state < 2', seq)
  }

  unhold(seq: number): void {
    this.#sql.run('UPDATE delivery SET state = 0 WHERE entry = ? AND state = 2', seq)
  }

  /** Also writes deliveries that are due already, so that their owner notices: their destination may rest. */
  retry(seq: number, now: number): void {
    this.#sql.run(
      `UPDATE delivery SET due_at = min(due_at, max(?, (SELECT hold_until FROM entry WHERE seq = delivery.entry)))
       WHERE entry = ? AND state < 2`,
      now,
      seq,
    )
  }

  remove(seq: number): void {
    this.#sql.run('DELETE FROM delivery WHERE entry = ?', seq)
    this.#sql.run('DELETE FROM entry WHERE seq = ?', seq)
  }

  entry(seq: number): QueueEntry | undefined {
    const row = this.#get<EntryRow>('SELECT * FROM entry WHERE seq = ?', seq)
    if (row === undefined) return undefined
    const deliveries = this.#all<DeliveryRow>('SELECT * FROM delivery WHERE entry = ? ORDER BY number', seq)
    return {
      id: row.id,
      messageId: row.message_id,
      queuedAt: row.queued_at,
      envelope: envelopeOf(row),
      deliveries: deliveries.map((delivery) => deliveryOf(delivery, row.id)),
    }
  }

  /** Returns numbers of entries behind `after`, ascending. All that `options` wants are among them. */
  seqs({ state, destination, messageId }: ListQueueOptions, after: number, limit: number): number[] {
    const [query, ...values] =
      messageId !== undefined
        ? ['SELECT seq FROM entry WHERE message_id = ? AND seq > ? ORDER BY seq LIMIT ?', messageId]
        : destination !== undefined
          ? [
              'SELECT entry AS seq FROM delivery WHERE destination = ? AND entry > ? ORDER BY entry LIMIT ?',
              destination,
            ]
          : state === 'finished'
            ? ['SELECT seq FROM entry WHERE pending = 0 AND seq > ? ORDER BY seq LIMIT ?']
            : state === 'held'
              ? ['SELECT DISTINCT entry AS seq FROM delivery WHERE state = 2 AND entry > ? ORDER BY entry LIMIT ?']
              : ['SELECT seq FROM entry WHERE seq > ? ORDER BY seq LIMIT ?']
    return this.#all<{ seq: number }>(query, ...values, after, limit).map(({ seq }) => seq)
  }

  countEntries(): number {
    return this.#value('SELECT count(*) FROM entry') ?? 0
  }

  oldestQueuedAt(): number | undefined {
    return this.#value('SELECT queued_at FROM entry WHERE pending > 0 ORDER BY seq LIMIT 1')
  }

  /** Counts a slice of the deliveries, which are ordered by destination. `last` of a slice is where the next one begins. */
  counts(
    [destination, entry]: readonly [string, number],
    limit: number,
  ): { readonly destination: string; readonly state: number; readonly count: number; readonly last: number }[] {
    return this.#all(
      `SELECT destination, state, count(*) AS count, max(entry) AS last FROM
         (SELECT destination, entry, state FROM delivery WHERE (destination, entry) > (?, ?)
          ORDER BY destination, entry LIMIT ?)
       GROUP BY destination, state ORDER BY destination, last`,
      destination,
      entry,
      limit,
    )
  }

  /** Returns a number that changes when another connection has changed the file. */
  dataVersion(): number {
    return this.#value('PRAGMA data_version') ?? 0
  }

  #get<T>(query: string, ...values: (string | number)[]): T | undefined {
    return this.#all<T>(query, ...values)[0]
  }

  #all<T>(query: string, ...values: (string | number)[]): T[] {
    return this.#sql.all(query, ...values) as T[]
  }

  /** Returns the first column of the first row. */
  #value<T extends string | number>(query: string, ...values: (string | number)[]): T | undefined {
    const [row] = this.#sql.all(query, ...values)
    return row === undefined ? undefined : (Object.values(row)[0] as T)
  }
}

export function deliveryOf(row: DeliveryRow, id: string): QueueDelivery {
  const state = STATES[row.state]
  if (state === undefined) throw damaged(id)
  const { destination, due_at: dueAt, attempts } = row
  return { destination, state, dueAt, attempts, recipients: recipientsOf(row, id) }
}

export function recipientsOf({ recipients }: DeliveryRow, id: string): QueueRecipient[] {
  const value = parsed(recipients, id)
  if (!Array.isArray(value)) throw damaged(id)
  return value as QueueRecipient[]
}

export function envelopeOf({ envelope, id }: Pick<EntryRow, 'envelope' | 'id'>): QueueEnvelope {
  return parsed(envelope, id) as QueueEnvelope
}

function parsed(text: string, id: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw damaged(id, error)
  }
}

function damaged(id: string, cause?: unknown): QueueError {
  return new QueueError('corrupt', `the entry ${id} of the queue is damaged`, { cause })
}
