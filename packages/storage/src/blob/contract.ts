/**
 * The contract of a backend: blobs under keys. It asks only for what a directory, S3 and R2 can all do.
 *
 * Rules for a backend:
 * - A blob is written once and never changed. It appears whole when `commit` is done, or never.
 * - When `commit` resolves, the blob is durable: it survives a crash and a power cut, if the backend can ensure that.
 * - It checks every key with {@link checkKey} before it uses it.
 * - Every failure is a `StorageError`, with the backend's own error as its cause.
 * - Listings are in ascending order of the keys' bytes. They need not be a snapshot: a blob that is written or deleted
 *   meanwhile may be listed or not. A blob that exists all the time is listed exactly once.
 *
 * One contract suite (test/contracts/blobs) runs against every backend.
 */
import { StorageError } from './error.ts'

/** A store of blobs. */
export interface BlobStore {
  /**
   * Begins a blob. Readers find nothing under `key` before `commit`.
   *
   * @throws StorageError `invalid-key` at once; the writer reports every other failure
   */
  write(key: string, options?: WriteOptions): BlobWriter
  /** @throws StorageError `not-found` */
  read(key: string): Promise<BlobReader>
  /** Returns facts about a blob; undefined if there is none. */
  head(key: string): Promise<BlobInfo | undefined>
  /** Returns one page of keys, in ascending order. */
  list(options?: ListOptions): Promise<KeyPage>
  /**
   * Iterates over keys in an order, and reads each folder at most once. A store on a disk has this method, because its `list`
   * reads a whole folder for each page. A walk in order holds the names of one folder and of the folders above it in memory.
   */
  walk?(options?: WalkOptions): AsyncIterable<KeyBatch>
  /**
   * Makes a view for one caller that lists and reads many blobs, one folder after the other. The view checks a folder once, and may
   * read several blobs with one call. So it may still find a blob that was deleted meanwhile. It holds no open file, so the caller
   * need not close it.
   */
  view?(): BlobView
  /**
   * Makes a URL from which anybody can read the blob until it expires. The blob need not exist. Only a store whose server can do this
   * has the method.
   *
   * @throws StorageError `invalid-key`; `denied` if there are no credentials
   */
  link?(key: string, options: LinkOptions): Promise<string>
  /** Removes a blob, durably. A missing blob is no error, because S3 and R2 cannot tell. */
  delete(key: string): Promise<void>
  /**
   * Commits two blobs at the cost of one commit: the blob of `first`, and `second`, whose key no other writer uses. The
   * second blob never exists without the first. After a failure both are gone, as after `abort`. Returns undefined if
   * the backend cannot commit these two together. Then it has done nothing.
   *
   * @throws StorageError as `commit` does; `invalid-key` at once
   */
  commitBoth?(first: BlobWriter, second: WholeBlob): Promise<void> | undefined
  /**
   * Removes temporary files and unfinished uploads of writers that died. Keeps those that changed in the last `olderThanMs`
   * milliseconds. Returns how many it removed.
   */
  sweep?(olderThanMs: number): Promise<number>
}

/** The methods of a view of a store. */
export type BlobView = Pick<BlobStore, 'read' | 'list' | 'walk'>

/** A blob whose bytes are all in memory. */
export interface WholeBlob {
  readonly key: string
  /** The caller does not change them until the commit is over. */
  readonly bytes: Uint8Array
}

export interface WriteOptions {
  /** The number of bytes, if the caller knows it. `commit` fails with `corrupt` if another number was written. */
  readonly size?: number
  /** A media type, for backends that keep one. */
  readonly contentType?: string
  /** The name of a download, for backends that serve blobs to browsers. They then serve it as a download only. */
  readonly fileName?: string
  /**
   * No other writer uses this key. Then a backend whose server has no conditional writes need not wait for another writer of the
   * key. Default false.
   */
  readonly hasUniqueKey?: boolean
  /**
   * The caller writes this blob beside another unfinished one of the same store, which got each byte earlier. A store that lets writers
   * wait for one another bounds these writers by themselves, because two that wait for each other's second blob would never end.
   * Default false.
   */
  readonly besidesAnother?: boolean
}

/** What a URL of a blob says. */
export interface LinkOptions {
  /** Milliseconds, at most seven days. Rounded down to seconds. */
  readonly expiresInMs: number
  /** The server answers with this media type. */
  readonly contentType: string
  /** The server answers with `Content-Disposition: attachment` and this name (RFC 6266). */
  readonly fileName: string
}

/** One blob while it is written. The caller ends it with `commit` or `abort`, and calls `abort` after an error too. */
export interface BlobWriter {
  /**
   * Adds bytes. The writer may use the view until the call returns or, if it returns a promise, until that settles. A writer
   * that keeps bytes copies them. If it returns a promise, the caller waits for it before the next call.
   */
  write(bytes: Uint8Array): void | Promise<void>
  /**
   * Makes the blob visible and durable. The caller does not retry: after a failure the blob is gone, as after `abort`.
   *
   * @throws StorageError `exists` if the key has a blob by then. If two writers use one key, one of them gets this
   *   error
   */
  commit(): Promise<void>
  /**
   * Drops the blob with all its bytes. It never rejects, and may be called at any time and more than once. After a commit
   * it does nothing.
   */
  abort(): Promise<void>
}

/** One blob while it is read. */
export interface BlobReader {
  readonly size: number
  /** The bytes, to be iterated once. The caller may keep the chunks. A loop that is left early closes the reader. */
  readonly body: AsyncIterable<Uint8Array>
  /** Closes a blob that the caller does not iterate. May be called more than once. */
  close(): Promise<void>
}

export interface BlobInfo {
  readonly size: number
  readonly modifiedAt: Date
}

export interface ListOptions {
  /** Only keys that begin with this; it may end in the middle of a segment. */
  readonly prefix?: string
  /** Keys with a `/` behind the prefix are cut at that `/` and listed in `prefixes`. */
  readonly delimiter?: '/'
  /** Only keys greater than this one, which need not exist. Not together with `delimiter`. */
  readonly after?: string
  /** The cursor of an earlier page that was asked for with the same prefix, delimiter and `after`. */
  readonly cursor?: string
  /** 1 to 1,000, keys and prefixes together. Default 1,000. */
  readonly limit?: number
  /** True if the page has the size of each blob. A store on a disk makes a call for each. Default false. */
  readonly sizes?: boolean
}

export interface KeyPage {
  readonly keys: readonly string[]
  /** In bytes, one for each of `keys`. Present if it was asked for. */
  readonly sizes?: readonly number[]
  /** Prefixes, ascending, each ending in `/`. A prefix may be empty when the caller lists it. */
  readonly prefixes: readonly string[]
  /** Present if there may be more. */
  readonly cursor?: string
}

export interface WalkOptions {
  /** Only keys that begin with this; it may end in the middle of a segment. */
  readonly prefix?: string
  /** Only keys greater than this one, which need not exist. */
  readonly after?: string
  /** Only keys less than this one, which need not exist. */
  readonly before?: string
  /**
   * `any`: the order does not matter to the caller. Then a store of files need not hold the names of a folder in memory. Default
   * `ascending`.
   */
  readonly order?: 'ascending' | 'descending' | 'any'
  /** As in {@link ListOptions}. */
  readonly sizes?: boolean
}

/** Some of the keys of a walk. */
export type KeyBatch = Pick<KeyPage, 'keys' | 'sizes'>

/** S3's and R2's bound on one page. */
export const MAX_PAGE = 1000
/** S3's and R2's bound on a key, in bytes. */
export const MAX_KEY_BYTES = 1024
/**
 * Characters that every file system and every S3 server takes without quoting. A segment does not begin with a dot. So
 * it is neither `.` nor `..` nor a hidden file. It is not longer than the name of a file may be on Linux and macOS.
 */
const SEGMENT = '[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}'
const ONE_SEGMENT = new RegExp(`^${SEGMENT}$`)
const SEGMENTS = new RegExp(`^${SEGMENT}(?:/${SEGMENT})*$`)

/** Returns whether `segment` may stand between the slashes of a key. */
export function isSegment(segment: string): boolean {
  return ONE_SEGMENT.test(segment)
}

/** Returns whether {@link checkKey} accepts the key. */
export function isKey(key: string): boolean {
  return typeof key === 'string' && key.length <= MAX_KEY_BYTES && SEGMENTS.test(key)
}

/**
 * Returns the key if it is valid: segments of `A-Z a-z 0-9 . _ -` with `/` between them, none empty, none beginning
 * with a dot, 255 bytes a segment, 1,024 in all. Keys that differ only in case may be one key on some disks.
 *
 * @throws StorageError `invalid-key`
 */
export function checkKey(key: string): string {
  if (isKey(key)) return key
  throw new StorageError('invalid-key', `not a key: ${JSON.stringify(key)?.slice(0, 80)}`)
}

/**
 * Returns the prefix if it can begin a key: '' or a key that may end in `/`.
 * @throws StorageError `invalid-key`
 */
export function checkPrefix(prefix: string): string {
  if (prefix !== '') checkKey(typeof prefix === 'string' && prefix.endsWith('/') ? prefix.slice(0, -1) : prefix)
  return prefix
}

/**
 * Returns the key after which a listing begins; '' for the first key.
 *
 * @throws StorageError `invalid-key`
 * @throws RangeError if there is a delimiter too, because backends disagree on what the two mean together
 */
export function checkAfter({ after = '', delimiter }: Pick<ListOptions, 'after' | 'delimiter'>): string {
  if (after !== '' && delimiter !== undefined) throw new RangeError('after: a listing with a delimiter cannot have it')
  return checkPrefix(after)
}

/**
 * Returns the limit if a page can have it.
 * @throws RangeError if it is not a whole number from 1 to 1,000, which is a bug in the caller
 */
export function checkLimit(limit: number): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new RangeError(`limit: ${limit} is not a whole number from 1 to ${MAX_PAGE}`)
  }
  return limit
}
