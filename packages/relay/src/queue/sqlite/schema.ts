/** The tables of a queue, and how a file of an older version becomes one of this version. */
import type { DatabaseSync } from 'node:sqlite'
import { QueueError } from '../error.ts'

/** Marks the file as a queue: 'PoQu'. */
const APPLICATION_ID = 0x506f5175

/**
 * The statements that make each version of the one before it. A version that has been published is never changed.
 *
 * Recipients are a column of JSON, because only settlements change them, and a row for each would be most of the work of an ordinary entry.
 * The states are those of `STATES` in rows.ts. A claim reads `delivery_due` alone: there are only deliveries whose time has come. A
 * delivery that waits is in `delivery_waiting`, from which claims move those that have become due.
 */
const VERSIONS: readonly string[] = [
  `
  CREATE TABLE entry (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    message_id TEXT NOT NULL,
    queued_at INTEGER NOT NULL,
    hold_until INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    envelope TEXT NOT NULL
  ) STRICT;
  CREATE INDEX entry_message ON entry (message_id);
  CREATE INDEX entry_finished ON entry (seq) WHERE pending = 0;
  CREATE TABLE delivery (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    entry INTEGER NOT NULL,
    destination TEXT NOT NULL,
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    recipients TEXT NOT NULL
  ) STRICT;
  CREATE INDEX delivery_entry ON delivery (entry);
  CREATE INDEX delivery_waiting ON delivery (due_at) WHERE state = 0;
  CREATE INDEX delivery_due ON delivery (priority DESC, destination, due_at) WHERE state = 1;
  CREATE INDEX delivery_held ON delivery (entry) WHERE state = 2;
  CREATE INDEX delivery_destination ON delivery (destination, entry, state);
  `,
]

/** The newest version that this program knows. */
export const SCHEMA_VERSION: number = VERSIONS.length

/**
 * Makes the tables, or brings those of an older version up to date.
 *
 * @throws QueueError `other-version` if the file is of a newer version, or not a queue. Then it is not changed
 */
export function prepareSchema(db: DatabaseSync, path: string): void {
  checkVersion(db, path)
  db.exec('PRAGMA journal_mode = WAL')
  db.exec('BEGIN IMMEDIATE')
  try {
    // Another process may have changed it in the meantime.
    const version = checkVersion(db, path)
    for (const statements of VERSIONS.slice(version)) db.exec(statements)
    if (version < SCHEMA_VERSION) {
      db.exec(`PRAGMA application_id = ${APPLICATION_ID}`)
      db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`)
    }
    db.exec('COMMIT')
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}

/** Returns the version of the file; 0 if the file is new. */
function checkVersion(db: DatabaseSync, path: string): number {
  const isNew = numberOf(db, 'SELECT count(*) FROM sqlite_schema') === 0
  const applicationId = numberOf(db, 'PRAGMA application_id')
  const version = numberOf(db, 'PRAGMA user_version')
  if (applicationId !== APPLICATION_ID && !(isNew && applicationId === 0 && version === 0))
    throw new QueueError('other-version', `the queue ${path}: the file is not a queue of Postern`)
  if (version > SCHEMA_VERSION) {
    const problem = `the queue ${path} is of version ${version}; this Postern knows versions up to ${SCHEMA_VERSION}`
    throw new QueueError('other-version', problem)
  }
  return version
}

function numberOf(db: DatabaseSync, query: string): number {
  const row = db.prepare(query).get() ?? {}
  return Number(Object.values(row)[0])
}
