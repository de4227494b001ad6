/** How a new file gets the tables, and how a file of an older version becomes one of this version. */
import type { DatabaseSync } from 'node:sqlite'
import { QueueError } from '../error.ts'
import { SCHEMA_VERSION, VERSIONS } from '../sql/tables.ts'

/** Marks the file as a queue: 'PoQu'. */
const APPLICATION_ID = 0x506f5175

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
