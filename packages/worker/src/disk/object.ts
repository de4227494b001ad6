/**
 * Stores blobs in a Durable Object with SQLite. On a machine that runs workerd itself, its disk is the store, because there is no R2.
 *
 * workerd sends an answer only after SQLite's log is synced (fsync), so an answered message survives a power failure.
 * The bytes of a blob are rows of up to 1 MiB under an upload number. The row with its key and size is written in one
 * transaction.
 *
 * `disk/rpc.ts` describes its methods; `disk/store.ts` makes a BlobStore from them.
 */
import { DurableObject } from 'cloudflare:workers'
import { errorText, log } from '../log.ts'
import type { DiskBlob, DiskPage } from './rpc.ts'

const HOUR_MS = 60 * 60 * 1000

/** True for the first object since workerd was started. */
let isFirst = true

const TABLES = `
  CREATE TABLE IF NOT EXISTS uploads (upload INTEGER PRIMARY KEY AUTOINCREMENT, touched_at INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS chunks (upload INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE (upload, part));
  CREATE TABLE IF NOT EXISTS blobs (key TEXT PRIMARY KEY, upload INTEGER NOT NULL, size INTEGER NOT NULL, modified_at INTEGER NOT NULL);
`

/** The class of the object. A Worker exports a class of its own that extends it and does the upkeep. */
export abstract class DiskObject<Env = unknown> extends DurableObject<Env> {
  readonly #storage: DurableObjectStorage

  constructor(state: DurableObjectState, env: Env) {
    super(state, env)
    this.#storage = this.ctx.storage
    this.#storage.sql.exec(TABLES)
    void this.ctx.blockConcurrencyWhile(() => this.#setAlarm())
  }

  /** Does the upkeep of the store, when workerd starts and every hour. Calls this object by a stub, so that other requests can run in between. */
  protected abstract keepUp(): Promise<unknown>

  override async alarm(): Promise<void> {
    // The next alarm is set first, because workerd stops retrying an alarm that fails too often.
    await this.#storage.setAlarm(Date.now() + HOUR_MS)
    try {
      await this.keepUp()
    } catch (error) {
      log('error', 'the upkeep of the store failed', { error: errorText(error) })
    }
  }

  async #setAlarm(): Promise<void> {
    const due = Date.now() + (isFirst ? 0 : HOUR_MS)
    isFirst = false
    const alarm = await this.#storage.getAlarm()
    // Keeps an alarm that is due earlier.
    if (alarm === null || alarm > due) await this.#storage.setAlarm(due)
  }

  begin(): number {
    const row = this.#storage.sql.exec('INSERT INTO uploads (touched_at) VALUES (?) RETURNING upload', Date.now()).one()
    return row['upload'] as number
  }

  append(upload: number, part: number, bytes: Uint8Array): void {
    this.#storage.transactionSync(() => {
      const touched = this.#storage.sql.exec('UPDATE uploads SET touched_at = ? WHERE upload = ?', Date.now(), upload)
      if (touched.rowsWritten === 0) throw new Error(`there is no upload ${upload}`)
      this.#insert(upload, part, bytes)
    })
  }

  async commit(
    key: string,
    upload: number | undefined,
    part: number,
    last: Uint8Array,
    size: number,
  ): Promise<boolean> {
    const isNew = this.#storage.transactionSync(() => {
      const number = upload ?? this.begin()
      // A sweep may have removed the upload and its chunks, for example after the machine has slept for a day.
      const ended = this.#storage.sql.exec('DELETE FROM uploads WHERE upload = ?', number)
      if (ended.rowsWritten === 0) throw new Error(`there is no upload ${number}`)
      const isFree = this.find(key) === undefined
      if (isFree) {
        if (last.length > 0) this.#insert(number, part, last)
        this.#storage.sql.exec('INSERT INTO blobs VALUES (?, ?, ?, ?)', key, number, size, Date.now())
      } else {
        this.#storage.sql.exec('DELETE FROM chunks WHERE upload = ?', number)
      }
      return isFree
    })
    await this.#storage.sync()
    return isNew
  }

  abort(upload: number): void {
    this.#storage.transactionSync(() => {
      const { rowsWritten } = this.#storage.sql.exec('DELETE FROM uploads WHERE upload = ?', upload)
      // If there is no such upload, it was committed already, and the chunks belong to a blob.
      if (rowsWritten > 0) this.#storage.sql.exec('DELETE FROM chunks WHERE upload = ?', upload)
    })
  }

  find(key: string): DiskBlob | undefined {
    const [row] = this.#storage.sql.exec('SELECT upload, size, modified_at FROM blobs WHERE key = ?', key).toArray()
    if (row === undefined) return undefined
    return { upload: row['upload'] as number, size: row['size'] as number, modifiedAt: row['modified_at'] as number }
  }

  chunk(upload: number, part: number): ArrayBuffer | undefined {
    const sql = 'SELECT bytes FROM chunks WHERE upload = ? AND part = ?'
    const [row] = this.#storage.sql.exec(sql, upload, part).toArray()
    return row?.['bytes'] as ArrayBuffer | undefined
  }

  async remove(key: string): Promise<void> {
    this.#storage.transactionSync(() => {
      const [row] = this.#storage.sql.exec('DELETE FROM blobs WHERE key = ? RETURNING upload', key).toArray()
      if (row !== undefined) this.#storage.sql.exec('DELETE FROM chunks WHERE upload = ?', row['upload'] as number)
    })
    await this.#storage.sync()
  }

  list(prefix: string, cursor: string, rollUp: boolean, limit: number): DiskPage {
    const keys: string[] = []
    const sizes: number[] = []
    const prefixes: string[] = []
    // Skips all keys of a prefix that is already in the list.
    let from = cursor.endsWith('/') && rollUp ? pastFolder(cursor) : cursor === '' ? prefix : `${cursor}\0`
    if (from < prefix) from = prefix
    while (keys.length + prefixes.length <= limit) {
      const wanted = rollUp ? 64 : limit + 1
      const rows = this.#storage.sql
        .exec('SELECT key, size FROM blobs WHERE key >= ? AND key < ? ORDER BY key LIMIT ?', from, `${prefix}~`, wanted)
        .toArray()
      for (const row of rows) {
        const key = row['key'] as string
        if (key < from) continue
        if (keys.length + prefixes.length === limit) return { keys, sizes, prefixes, more: true }
        const slash = rollUp ? key.indexOf('/', prefix.length) : -1
        if (slash === -1) {
          keys.push(key)
          sizes.push(row['size'] as number)
        } else prefixes.push(key.slice(0, slash + 1))
        from = slash === -1 ? `${key}\0` : pastFolder(key.slice(0, slash + 1))
      }
      if (rows.length < wanted) break
    }
    return { keys, sizes, prefixes, more: false }
  }

  async sweep(before: number): Promise<number> {
    const rows = this.#storage.sql.exec('SELECT upload FROM uploads WHERE touched_at < ?', before).toArray()
    for (const row of rows) this.abort(row['upload'] as number)
    await this.#storage.sync()
    return rows.length
  }

  #insert(upload: number, part: number, bytes: Uint8Array): void {
    this.#storage.sql.exec('INSERT INTO chunks VALUES (?, ?, ?)', upload, part, bytes)
  }
}

/** Returns the first key after everything in a folder, because `0` follows `/`. */
function pastFolder(folder: string): string {
  return `${folder.slice(0, -1)}0`
}
