/**
 * A queue in the SQLite of a Durable Object, for Workers. The object that has the queue also delivers: leases are in its memory, and an object
 * with work on its way is not removed from memory.
 */
import { isQueueError, QueueError } from '../error.ts'
import type { Queue } from '../queue.ts'
import type { Sql, SqlRow, Transactions } from '../sql/sql.ts'
import { closedError, SqlQueue } from '../sql/sql-queue.ts'
import { SCHEMA_VERSION, VERSIONS } from '../sql/tables.ts'

/** What the queue uses of a `DurableObjectStorage`. */
export interface ObjectStorage {
  readonly sql: {
    exec(query: string, ...bindings: (string | number)[]): { toArray(): Record<string, unknown>[] }
  }
  transactionSync<T>(work: () => T): T
  /** Resolves when all writes are durable. */
  sync(): Promise<void>
}

const NAME = 'of the Durable Object'
/** A row of a Durable Object has at most 2 MB. So many recipients with the longest replies are less. */
const MAX_TOGETHER = 300

/**
 * Opens the queue in this storage, whose tables `entry`, `delivery` and `queue_version` belong to it. An object has one queue, and opens it
 * once.
 *
 * @throws QueueError `other-version`, `unavailable`
 */
export function openObjectQueue(storage: ObjectStorage): Queue {
  try {
    storage.transactionSync(() => prepareTables(storage))
  } catch (error) {
    throw failureOf(error)
  }
  return new SqlQueue({
    isShared: false,
    sql: new ObjectSql(storage),
    transactions: new ObjectTransactions(storage),
    name: NAME,
    isOwner: true,
    maxTogether: MAX_TOGETHER,
    failureOf,
    closed: () => {},
  })
}

/** A Durable Object has no `PRAGMA user_version`, so the version is in a table. */
function prepareTables({ sql }: ObjectStorage): void {
  sql.exec('CREATE TABLE IF NOT EXISTS queue_version (version INTEGER NOT NULL)')
  const version = Number(sql.exec('SELECT max(version) AS version FROM queue_version').toArray()[0]?.['version'] ?? 0)
  if (version > SCHEMA_VERSION) {
    const problem = `the queue ${NAME} is of version ${version}; this Postern knows versions up to ${SCHEMA_VERSION}`
    throw new QueueError('other-version', problem)
  }
  for (const statements of VERSIONS.slice(version)) sql.exec(statements)
  if (version < SCHEMA_VERSION) sql.exec('INSERT INTO queue_version VALUES (?)', SCHEMA_VERSION)
}

class ObjectSql implements Sql {
  readonly #storage: ObjectStorage

  constructor(storage: ObjectStorage) {
    this.#storage = storage
  }

  all(query: string, ...values: (string | number)[]): readonly SqlRow[] {
    return this.#storage.sql.exec(query, ...values).toArray()
  }

  run(query: string, ...values: (string | number)[]): void {
    this.#storage.sql.exec(query, ...values)
  }
}

/** The runtime writes the transactions of one turn together, so they are not grouped here. */
class ObjectTransactions implements Transactions {
  readonly #storage: ObjectStorage
  readonly #running = new Set<Promise<unknown>>()
  #isClosed = false

  constructor(storage: ObjectStorage) {
    this.#storage = storage
  }

  run<T>(_rows: number, work: () => T): Promise<T> {
    if (this.#isClosed) return Promise.reject(closedError(NAME))
    const running = this.#run(work)
    this.#running.add(running)
    const ended = (): void => void this.#running.delete(running)
    running.then(ended, ended)
    return running
  }

  async #run<T>(work: () => T): Promise<T> {
    try {
      const result = this.#storage.transactionSync(work)
      await this.#storage.sync()
      return result
    } catch (error) {
      throw failureOf(error)
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled(this.#running)
  }
}

function failureOf(error: unknown): QueueError {
  if (isQueueError(error)) return error
  const text = String((error as Error | undefined)?.message ?? error)
    .slice(0, 300)
    .replaceAll(/[^ -~]/gu, ' ')
  const code = text.includes('SQLITE_FULL') ? 'full' : 'unavailable'
  return new QueueError(code, `the queue ${NAME}: ${text}`, { cause: error })
}
