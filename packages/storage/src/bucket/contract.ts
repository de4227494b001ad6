/**
 * What S3 and R2 share. Each call is one attempt. The store retries, and makes blobs from objects.
 *
 * Every failure is a `StorageError` with the server's own error as its cause. It is a `TransientError` if a retry may
 * succeed. An attempt ends when its signal is aborted.
 */
import type { KeyPage, LinkOptions, ListOptions } from '../blob/contract.ts'
import type { SentObject } from './object-reader.ts'

/** A bucket, or the part of one below a prefix. */
export interface ObjectBucket {
  head(key: string, signal: AbortSignal): Promise<ObjectFacts | undefined>
  get(key: string, signal: AbortSignal): Promise<SentObject | undefined>
  /** Puts a whole object, with a digest that the server compares. @returns false if there is an object under this key */
  put(key: string, bytes: Uint8Array<ArrayBuffer>, facts: WriterFacts, signal: AbortSignal): Promise<boolean>
  createUpload(key: string, facts: WriterFacts, signal: AbortSignal): Promise<Upload>
  /** Deletes an object. A missing one is no error. */
  delete(key: string, signal: AbortSignal): Promise<void>
  /** Makes a URL of an object, if the server knows such URLs. */
  link?(key: string, options: LinkOptions): Promise<string>
  /** Returns a page of at most `limit` keys and prefixes. It may have fewer, or none, even if more pages follow. */
  list(options: ListOptions & { readonly limit: number }, signal: AbortSignal): Promise<KeyPage>
  /** Aborts unfinished uploads that were begun before a time (ms since 1970). Present only if the server can list them. */
  sweepUploads?(before: number, signal: AbortSignal): Promise<number>
}

/** The upload of a large object, in equal parts. The last part may be smaller. */
export interface Upload {
  /** Sends one part; numbers begin at 1. A part that is sent again replaces the earlier one. */
  send(partNumber: number, bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<void>
  /**
   * Makes the object from the parts.
   * @returns false if the server says that there is an object under this key
   */
  complete(signal: AbortSignal): Promise<boolean>
  /** Drops the upload with all its parts. */
  abort(signal: AbortSignal): Promise<void>
}

/** What the writer of an object passes to the bucket. */
export interface WriterFacts {
  /** An identifier that no other writer has. */
  readonly writer: string
  readonly contentType: string | undefined
  /** See `WriteOptions`. */
  readonly fileName: string | undefined
  /** True if no other writer uses this key. */
  readonly hasUniqueKey: boolean
}

export interface ObjectFacts {
  readonly size: number
  readonly modifiedAt: Date
  /** The identifier of its writer; undefined if another program wrote it. */
  readonly writer: string | undefined
}

/** The name of {@link WriterFacts.writer} in the metadata of an object. */
export const WRITER = 'postern-writer'
