/** A queue in a file of SQLite, on Node (22.13 or newer), Deno and Bun. */
import { link, open, realpath, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { QueueError } from '../error.ts'
import { checkRange, MAX_RECIPIENTS } from '../checks.ts'
import type { Queue } from '../queue.ts'
import { SqlQueue } from '../sql/sql-queue.ts'
import { failureOf } from './failure.ts'
import { Ownership } from './owner.ts'
import { prepareSchema } from './schema.ts'
import { Statements } from './statements.ts'
import { GroupedTransactions } from './transactions.ts'

export interface SqliteQueueOptions {
  /**
   * The owner claims and settles. There is one owner at a time, and a process that dies loses the ownership at once. The others add
   * entries and manage them: the commands of an administrator, and the worker threads of a server whose main thread is the owner.
   * Default true.
   */
  readonly isOwner?: boolean | undefined
  /** False: a missing file is an error. Default true: it is made. */
  readonly create?: boolean | undefined
  /** How large the file may become. Over it, `add` gets `full`. Default 16 GiB. */
  readonly maxBytes?: number | undefined
  /** How long a change waits for another process that writes. Then it gets `busy`. Default 10,000. */
  readonly busyTimeoutMs?: number | undefined
}

const DEFAULT_MAX_BYTES = 16 * 2 ** 30
const PAGE_BYTES = 4_096
/** The memory for pages of the file. */
const CACHE_KIB = 16 * 1_024
/** The size to which SQLite cuts the log when it is written back. */
const LOG_BYTES = 64 * 2 ** 20
/** How long a call may block the event loop because another process writes. */
const BLOCKING_MS = 5
/** The same while the queue is opened: another process may be making the tables. */
const OPENING_MS = 5_000

/**
 * Opens the queue at this path. Beside the file, SQLite keeps `PATH-wal` and `PATH-shm`, and the ownership is the lock of `PATH-owner`. The
 * file system has to be a local one, because locks of network file systems are not reliable.
 *
 * @throws QueueError `owned`, `other-version`, `not-found`, `unsupported`, `invalid`, `unavailable`
 */
export async function openSqliteQueue(path: string, options: SqliteQueueOptions = {}): Promise<Queue> {
  const { isOwner = true, create = true, maxBytes = DEFAULT_MAX_BYTES, busyTimeoutMs = 10_000 } = options
  checkRange(maxBytes, 'maxBytes', 64 * PAGE_BYTES, Number.MAX_SAFE_INTEGER)
  checkRange(busyTimeoutMs, 'busyTimeoutMs', 0, 2 ** 31 - 1)
  const Database = await loadSqlite()
  const file = await prepareFile(path, create)
  let ownership: Ownership | undefined
  let db: DatabaseSync | undefined
  try {
    if (isOwner) ownership = new Ownership(new Database(await prepareFile(`${file}-owner`, true)), path)
    db = new Database(file)
    db.exec(`PRAGMA busy_timeout = ${OPENING_MS}`)
    prepareSchema(db, path)
    // FULL: each transaction is on the disk before it counts.
    db.exec('PRAGMA synchronous = FULL')
    db.exec(`PRAGMA cache_size = -${CACHE_KIB}`)
    db.exec(`PRAGMA journal_size_limit = ${LOG_BYTES}`)
    db.exec(`PRAGMA max_page_count = ${Math.floor(maxBytes / PAGE_BYTES)}`)
    db.exec('PRAGMA trusted_schema = OFF')
    db.exec(`PRAGMA busy_timeout = ${BLOCKING_MS}`)
    return queueIn(db, path, ownership, busyTimeoutMs)
  } catch (error) {
    db?.close()
    ownership?.[Symbol.dispose]()
    throw failureOf(error, path)
  }
}

function queueIn(db: DatabaseSync, path: string, ownership: Disposable | undefined, patienceMs: number): Queue {
  return new SqlQueue({
    isShared: true,
    sql: new Statements(db),
    transactions: new GroupedTransactions(db, path, patienceMs),
    name: path,
    isOwner: ownership !== undefined,
    maxTogether: MAX_RECIPIENTS,
    failureOf: (error) => failureOf(error, path),
    closed: () => {
      db.close()
      ownership?.[Symbol.dispose]()
    },
  })
}

/** Loads SQLite only when a queue is opened, because a runtime may not have it. */
async function loadSqlite(): Promise<typeof DatabaseSync> {
  try {
    return (await import('node:sqlite')).DatabaseSync
  } catch (error) {
    const problem = 'this runtime has no node:sqlite, which the queue needs; Node has it from 22.13'
    throw new QueueError('unsupported', problem, { cause: error })
  }
}

/**
 * Makes the file, if it is missing, so that only its user can read it. SQLite gives the files beside it the same rights.
 *
 * A file that is there is never opened here: when a process closes a file, the kernel ends all locks of the process on that file, also
 * those of SQLite. So a new file gets its name only when it is closed.
 *
 * @returns The real path: two names of one file are one queue
 */
async function prepareFile(path: string, create: boolean): Promise<string> {
  try {
    if (create) await createFile(path)
    return await realpath(path)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (!create && code === 'ENOENT') throw new QueueError('not-found', `there is no queue ${path}`, { cause: error })
    throw new QueueError('unavailable', `the queue ${path}: ${message}`, { cause: error })
  }
}

async function createFile(path: string): Promise<void> {
  if (await isThere(path)) return
  const temporary = `${path}-${crypto.randomUUID()}`
  await (await open(temporary, 'wx', 0o600)).close()
  try {
    await link(temporary, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await unlink(temporary)
  }
  // A power cut must not take the name away.
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
