/**
 * The contract of a backend: blobs under keys. It asks for no more than a directory, S3 and R2 can all do.
 *
 * Rules for whoever implements it:
 * - A blob is written once and never changed. It appears whole, when `commit` has done its work, or not at all.
 * - When `commit` resolves, the blob is durable: it outlives a crash and a power cut, as far as the backend can.
 * - Every key is checked with {@link checkKey} before it is used for anything.
 * - Every failure is a `StorageError`, with the backend's own error as its cause.
 * - Listings are in ascending order of the keys' bytes, and need not be a snapshot: a blob that comes or goes
 *   meanwhile may be in or out; one that was there all the time is in, exactly once.
 *
 * One contract suite (test/contract) runs against every backend.
 */
import { StorageError } from './error.ts'

/** Where blobs are kept. */
export interface BlobStore {
  /**
   * Begins a blob. Nothing is to be seen under `key` before `commit`.
   *
   * @throws StorageError `invalid-key`, at once; everything else comes from the writer.
   */
  write(key: string, options?: WriteOptions): BlobWriter
  /** @throws StorageError `not-found` */
  read(key: string): Promise<BlobReader>
  /** Facts about a blob; undefined where there is none. */
  head(key: string): Promise<BlobInfo | undefined>
  /** One page of keys, ascending. */
  list(options?: ListOptions): Promise<KeyPage>
  /** Removes a blob, durably. It is not an error when there is none: S3 and R2 can't tell. */
  delete(key: string): Promise<void>
  /**
   * Commits what was written, and a second blob whose key nobody else makes, for the price of one, where that can be; the second is
   * at no time there without the first. After a failure both are gone, as after `abort`. Undefined where it can't be, and then
   * nothing was done.
   *
   * @throws StorageError as `commit` does; `invalid-key` at once
   */
  commitBoth?(first: BlobWriter, second: WholeBlob): Promise<void> | undefined
  /**
   * Removes what writers that died left behind, where that can happen: temporary files, unfinished uploads. What was
   * touched in the last `olderThanMs` milliseconds stays. Answers how many it removed.
   */
  sweep?(olderThanMs: number): Promise<number>
}

/** A blob that is there already, whole. */
export interface WholeBlob {
  readonly key: string
  /** Not to be changed until the commit is over. */
  readonly bytes: Uint8Array
}

export interface WriteOptions {
  /** How many bytes there will be, where that is known: `commit` fails with `corrupt` when it was another number. */
  readonly size?: number
  /** A media type, for backends that keep one. */
  readonly contentType?: string
  /**
   * The key was made for this blob, and nobody else makes the same: then a backend that can only look whether a key is free need
   * not wait to see whether somebody else looked at the same moment. Default false.
   */
  readonly hasUniqueKey?: boolean
}

/** One blob while it is written. Call `commit` or `abort` in the end; after an error `abort` is still due. */
export interface BlobWriter {
  /**
   * Adds bytes. The view is the writer's only until the call returns or, if it returned a promise, until that settles:
   * a writer that wants to keep bytes copies them. A promise means: wait for it before the next call.
   */
  write(bytes: Uint8Array): void | Promise<void>
  /**
   * Makes the blob appear, and be durable. Not tried again after a failure: the blob is then gone, as after `abort`.
   *
   * @throws StorageError `exists` when the key was taken, then or before: of two writers of one key one wins.
   */
  commit(): Promise<void>
  /**
   * Gives the blob up: nothing of it stays. May be called at any time, more than once, never rejects; after a commit it
   * does nothing.
   */
  abort(): Promise<void>
}

/** One blob while it is read. */
export interface BlobReader {
  readonly size: number
  /** The bytes, to be iterated once. Chunks belong to whoever takes them. Leaving the loop early closes the reader. */
  readonly body: AsyncIterable<Uint8Array>
  /** Lets go of a blob that will not be iterated. May be called more than once. */
  close(): Promise<void>
}

export interface BlobInfo {
  readonly size: number
  readonly modifiedAt: Date
}

export interface ListOptions {
  /** Only keys that begin so; it may end in the middle of a segment. */
  readonly prefix?: string
  /** Keys that hold a `/` behind the prefix are rolled up to that `/`, into `prefixes`. */
  readonly delimiter?: '/'
  /** From an earlier page, with the same prefix and delimiter. */
  readonly cursor?: string
  /** 1 to 1,000, keys and prefixes together. Default 1,000. */
  readonly limit?: number
  /** Whether the page tells how large each blob is: a disk has to look at each. Default false. */
  readonly sizes?: boolean
}

export interface KeyPage {
  readonly keys: readonly string[]
  /** In bytes, one for each of `keys`. Present where it was asked for. */
  readonly sizes?: readonly number[]
  /** Rolled up prefixes, ascending, each ending in `/`. By the time one is looked into, it may be empty. */
  readonly prefixes: readonly string[]
  /** Present where there may be more. */
  readonly cursor?: string
}

/** S3's and R2's bound on one page. */
export const MAX_PAGE = 1000
/** S3's and R2's bound on a key, in bytes. */
export const MAX_KEY_BYTES = 1024
/**
 * What every file system and every S3 takes without quoting. No leading dot, so neither `.` nor `..` nor a hidden file. Not longer
 * than a file's name may be on Linux and macOS.
 */
const SEGMENT = '[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}'
const ONE_SEGMENT = new RegExp(`^${SEGMENT}$`)
const SEGMENTS = new RegExp(`^${SEGMENT}(?:/${SEGMENT})*$`)

/** Whether `segment` may stand between the slashes of a key. */
export function isSegment(segment: string): boolean {
  return ONE_SEGMENT.test(segment)
}

/** Whether this is what {@link checkKey} lets through. */
export function isKey(key: string): boolean {
  return typeof key === 'string' && key.length <= MAX_KEY_BYTES && SEGMENTS.test(key)
}

/**
 * Lets through what is a key: segments of `A-Z a-z 0-9 . _ -` with `/` between them, none empty, none beginning with a
 * dot, 255 bytes a segment, 1,024 in all. Keys that differ only in case may be one key on some disks.
 *
 * @throws StorageError `invalid-key`
 */
export function checkKey(key: string): string {
  if (isKey(key)) return key
  throw new StorageError('invalid-key', `not a key: ${JSON.stringify(key)?.slice(0, 80)}`)
}

/**
 * Lets through what can begin a key: '' or a key that may end in `/`.
 *
 * @throws StorageError `invalid-key`
 */
export function checkPrefix(prefix: string): string {
  if (prefix !== '') checkKey(typeof prefix === 'string' && prefix.endsWith('/') ? prefix.slice(0, -1) : prefix)
  return prefix
}

/**
 * Lets through what can be the bound of a page.
 *
 * @throws RangeError when it is not a whole number from 1 to 1,000: that is a bug in the caller.
 */
export function checkLimit(limit: number): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new RangeError(`limit: ${limit} is not a whole number from 1 to ${MAX_PAGE}`)
  }
  return limit
}
