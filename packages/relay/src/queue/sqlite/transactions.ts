/**
 * Runs many callers' work in one transaction, because each transaction waits for the disk. What is asked for while the disk
 * works is in the next transaction.
 *
 * SQLite answers synchronously, so a transaction blocks the event loop while the disk works. Its work is bounded. Between two transactions
 * the event loop has twice the time that the last one took, unless there is work for a whole transaction. So a busy program makes few
 * transactions with much work in each, and the first work after a pause does not wait.
 */
import type { DatabaseSync } from 'node:sqlite'
import { clearTimeout, setImmediate, setTimeout } from 'node:timers'
import { isQueueError } from '../error.ts'
import type { Transactions } from '../sql/sql.ts'
import { closedError } from '../sql/sql-queue.ts'
import { failureOf, isBusy } from './failure.ts'

/** Rows that one transaction may write, unless one call alone writes more: some 5 ms of work. */
const MAX_ROWS = 300
/** The event loop's time between two transactions, as a multiple of the time of the last one. */
const PAUSE_FACTOR = 2
/** A disk may be slow, but no work waits longer than this for more work. */
const MAX_PAUSE_MS = 20
/** The time between two tries if another process writes. */
const RETRY_MS = 10

interface Job {
  /** About how many rows it writes. */
  readonly rows: number
  readonly work: () => unknown
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

export class GroupedTransactions implements Transactions {
  readonly #db: DatabaseSync
  readonly #path: string
  readonly #patienceMs: number
  #jobs: Job[] = []
  /** About how many rows the jobs write. */
  #rows = 0
  #isScheduled = false
  /** The pause before the next transaction. */
  #pause: ReturnType<typeof setTimeout> | undefined
  #pauseEndsAt = 0
  #isClosed = false
  /** When another process was first found writing; undefined if none is. */
  #busySince: number | undefined
  #whenIdle: (() => void)[] = []

  /** @param patienceMs How long work waits for another process that writes */
  constructor(db: DatabaseSync, path: string, patienceMs: number) {
    this.#db = db
    this.#path = path
    this.#patienceMs = patienceMs
  }

  run<T>(rows: number, work: () => T): Promise<T> {
    if (this.#isClosed) return Promise.reject(closedError(this.#path))
    return new Promise<T>((resolve, reject) => {
      this.#jobs.push({ rows, work, resolve: resolve as (result: unknown) => void, reject })
      this.#rows += rows
      this.#schedule()
    })
  }

  close(): Promise<void> {
    this.#isClosed = true
    if (!this.#isScheduled) return Promise.resolve()
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  #schedule(): void {
    const pauseMs = this.#rows >= MAX_ROWS || this.#isClosed ? 0 : this.#pauseEndsAt - performance.now()
    if (this.#isScheduled) {
      if (pauseMs > 0 || this.#pause === undefined) return
      clearTimeout(this.#pause)
    }
    this.#isScheduled = true
    this.#pause = pauseMs > 0 ? setTimeout(() => this.#commit(), pauseMs) : undefined
    if (this.#pause === undefined) setImmediate(() => this.#commit())
  }

  #commit(): void {
    this.#pause = undefined
    const startedAt = performance.now()
    const jobs = this.#nextJobs()
    try {
      this.#together(jobs)
      this.#busySince = undefined
    } catch (error) {
      if (isBusy(error, this.#path) && this.#mayWait()) {
        this.#jobs = [...jobs, ...this.#jobs]
        this.#rows += rowsOf(jobs)
        setTimeout(() => this.#commit(), RETRY_MS)
        return
      }
      this.#busySince = undefined
      if (jobs.length > 1 && isOfOneJob(error, this.#path)) for (const job of jobs) this.#alone(job)
      else for (const { reject } of jobs) reject(failureOf(error, this.#path))
    }
    this.#isScheduled = false
    const endedAt = performance.now()
    this.#pauseEndsAt = endedAt + Math.min(MAX_PAUSE_MS, PAUSE_FACTOR * (endedAt - startedAt))
    if (this.#jobs.length > 0) this.#schedule()
    else for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  #nextJobs(): Job[] {
    let rows = 0
    let count = 0
    for (const job of this.#jobs) {
      rows += job.rows
      if (count > 0 && rows > MAX_ROWS) break
      count++
    }
    const jobs = this.#jobs.splice(0, count)
    this.#rows -= rowsOf(jobs)
    return jobs
  }

  /** Runs all jobs in one transaction. Throws if one of them does. Then none has changed anything. */
  #together(jobs: readonly Job[]): void {
    this.#db.exec('BEGIN IMMEDIATE')
    let results: unknown[]
    try {
      results = jobs.map(({ work }) => work())
      this.#db.exec('COMMIT')
    } catch (error) {
      this.#rollBack()
      throw error
    }
    for (const [at, { resolve }] of jobs.entries()) resolve(results[at])
  }

  #alone(job: Job): void {
    try {
      this.#together([job])
    } catch (error) {
      job.reject(failureOf(error, this.#path))
    }
  }

  #rollBack(): void {
    try {
      this.#db.exec('ROLLBACK')
    } catch {
      // SQLite has rolled back by itself, as it does after some failures of the disk.
    }
  }

  #mayWait(): boolean {
    const now = performance.now()
    this.#busySince ??= now
    return now - this.#busySince < this.#patienceMs
  }
}

function rowsOf(jobs: readonly Job[]): number {
  return jobs.reduce((sum, { rows }) => sum + rows, 0)
}

/** Returns whether other jobs may succeed although one has failed. */
function isOfOneJob(error: unknown, path: string): boolean {
  return !(error instanceof Error && 'code' in error) || isQueueError(error) || failureOf(error, path).code === 'full'
}
