/** Assertions and helpers for the checks of mail, without a test runner and for any runtime. */
import {
  type BlobStore,
  type MailPage,
  type MailRecord,
  mailStore,
  type MailStore,
  StorageError,
} from '@postern/storage'
import { idAt, saveText, TRACE } from './messages.ts'
import type { Check, Ground, MakeStore } from '../blobs/check.ts'
import { ensure, equal, errorOf, get, keysIn } from '../blobs/exchange.ts'

/** The folder of a message of 2026-11-21 05:42 UTC. */
export const MINUTE = '2026-11-21T05:42:07.123Z'
export const FOLDER = '2026/11/21/0542/'

export interface Opened {
  readonly blobs: BlobStore
  readonly mail: MailStore
}

export async function open(make: MakeStore): Promise<Opened> {
  const blobs = await make()
  return { blobs, mail: mailStore(blobs) }
}

/** An empty MailStore of any kind, and the facts that a check may ask about it. */
export interface OpenedMail {
  readonly mail: MailStore
  /** Returns the names of everything that is stored, sorted. */
  stored(): Promise<string[]>
  /** Returns the names of everything that is stored for these messages, sorted. */
  namesOf(...ids: readonly string[]): string[]
  /** Reads the bytes of a message around the MailStore, if they are one blob. */
  readAround?(id: string): Promise<Uint8Array>
  /** The fields above the bytes of a message. */
  readonly top: Uint8Array
  /** Returns what the store adds to a record. */
  added(saved: MailRecord): Partial<MailRecord>
}

type Look = (open: () => Promise<OpenedMail>, ground?: Ground) => Promise<void>

/** A row of the contract of mail. */
export interface MailCheck extends Check {
  /** Only of rows that hold for each MailStore, also for one that is not made of blobs alone. */
  readonly look?: Look
}

/** Makes a row that holds for each MailStore. */
export function ofEach(name: string, look: Look): MailCheck {
  return { name, look, run: (make, ground) => look(() => openOnBlobs(make), ground) }
}

/** Makes a row that each run checks everywhere. */
export function essential(check: MailCheck): MailCheck {
  return { ...check, isEssential: true }
}

async function openOnBlobs(make: MakeStore): Promise<OpenedMail> {
  const { blobs, mail } = await open(make)
  return {
    mail,
    stored: () => keysIn(blobs),
    namesOf: (...ids) => ids.flatMap((id) => [`${FOLDER}${id}.eml`, `${FOLDER}${id}.json`]).toSorted(),
    readAround: (id) => get(blobs, `${FOLDER}${id}.eml`),
    top: TRACE,
    added: () => ({}),
  }
}

export function idsOf(page: MailPage): string[] {
  return page.records.map(({ id }) => id)
}

export async function allPages(mail: MailStore, limit: number, bounced = false): Promise<MailPage[]> {
  const pages: MailPage[] = []
  let cursor: string | undefined
  do {
    const page = await mail.list({ limit, bounced, ...(cursor !== undefined && { cursor }) })
    pages.push(page)
    cursor = page.cursor
  } while (cursor !== undefined)
  return pages
}

/** Checks that exactly these messages are listed, in this order. */
export async function lists(mail: MailStore, expected: readonly string[], what: string): Promise<void> {
  equal((await allPages(mail, 100)).flatMap(idsOf), expected, what)
}

export async function saveAll(mail: MailStore, ids: readonly string[]): Promise<void> {
  for (const id of ids) await saveText(mail, id)
}

/** Makes this many ids of one minute, ascending. */
export function idsOfMinute(count: number): [string, ...string[]] {
  return Array.from({ length: count }, (_, index) => idAt(MINUTE, index)) as [string, ...string[]]
}

/** Checks that `work` throws or rejects with this same error object. */
export async function expectError(expected: Error, work: () => unknown, what: string): Promise<void> {
  const error = await errorOf(work, `${what}: expected ${String(expected)}, got no error`)
  ensure(error === expected, `${what}: expected ${String(expected)}, got ${String(error)}`)
}

/** Returns the methods of a store, so that a check can replace some of them. */
export function bound(blobs: BlobStore): BlobStore {
  return {
    write: (key, options) => blobs.write(key, options),
    read: (key) => blobs.read(key),
    head: (key) => blobs.head(key),
    list: (options) => blobs.list(options),
    delete: (key) => blobs.delete(key),
  }
}

/** Returns a store whose writers fail at the commit for keys with this extension. */
export function failingWrites(blobs: BlobStore, extension: string): BlobStore {
  return {
    ...bound(blobs),
    write(key, options) {
      const writer = blobs.write(key, options)
      if (!key.endsWith(extension)) return writer
      return {
        write: (bytes) => writer.write(bytes),
        abort: () => writer.abort(),
        commit: () => Promise.reject(new StorageError('unavailable', 'the line is cut')),
      }
    },
  }
}
