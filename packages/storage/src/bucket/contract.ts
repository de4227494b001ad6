/**
 * What S3 and R2 have in common, one attempt at a time: the store above tries again, and makes blobs of objects.
 *
 * Failures are `StorageError`s with the server's own as their cause; those that may pass are `TransientError`s. An
 * attempt ends when its signal says so.
 */
import type { KeyPage, ListOptions } from '../blob/contract.ts'
import type { SentObject } from './object-reader.ts'

/** A bucket, or the part of one below a prefix. */
export interface ObjectBucket {
  head(key: string, signal: AbortSignal): Promise<ObjectFacts | undefined>
  get(key: string, signal: AbortSignal): Promise<SentObject | undefined>
  /** Puts a whole object, with a digest that the server compares. @returns false where there is one under this key. */
  put(key: string, bytes: Uint8Array<ArrayBuffer>, facts: WriterFacts, signal: AbortSignal): Promise<boolean>
  createUpload(key: string, facts: WriterFacts, signal: AbortSignal): Promise<Upload>
  /** It is not an error when there is none. */
  delete(key: string, signal: AbortSignal): Promise<void>
  /** A page of at most so many, maybe fewer, maybe none, with more to come. */
  list(options: ListOptions & { readonly limit: number }, signal: AbortSignal): Promise<KeyPage>
  /** Gives up unfinished uploads that were begun before a time (ms since 1970), where they can be listed. */
  sweepUploads?(before: number, signal: AbortSignal): Promise<number>
}

/** A large object on its way, in equal parts of which the last may be smaller. */
export interface Upload {
  /** Sends one part, from 1; sent again, it replaces what was sent before. */
  send(partNumber: number, bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<void>
  /** @returns false where there is an object under this key, as far as the server looks. */
  complete(signal: AbortSignal): Promise<boolean>
  /** Gives it up, with all its parts. */
  abort(signal: AbortSignal): Promise<void>
}

/** What is known of who writes an object. */
export interface WriterFacts {
  /** A name that no other writer has. */
  readonly writer: string
  readonly contentType: string | undefined
  /** Nobody else writes under this key. */
  readonly hasUniqueKey: boolean
}

export interface ObjectFacts {
  readonly size: number
  readonly modifiedAt: Date
  /** Whoever wrote it; undefined where it was not one of ours. */
  readonly writer: string | undefined
}

/** Where {@link WriterFacts.writer} is: in an object's own metadata. */
export const WRITER = 'postern-writer'
