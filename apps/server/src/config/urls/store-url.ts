/** The `store` option: URLs of stores, stores of the user's own, and who may use S3. */
import type { BlobStore, MailStore } from '@postern/storage'
import type { S3Credentials, S3CredentialsSource } from '@postern/storage/s3'

/** A store URL taken apart. */
export interface StoreUrl {
  readonly scheme: 'fs' | 'maildir' | 'memory' | 's3'
  /** As the user wrote it. */
  readonly url: string
  /** The directory of an `fs:` or `maildir:` store. */
  readonly path: string
  /** What stands behind the `?` of an `fs:` or `maildir:` store. */
  readonly query?: string
}

/** What the `store` option may hold. */
export type StoreChoice = StoreUrl | BlobStore | MailStore

export const STORE_ALLOWED: string = 'a store URL such as fs:./mail, maildir:./mail, s3://bucket/prefix or memory:'

/** Reads a store URL; undefined where it is none. */
export function parseStoreUrl(url: string): StoreUrl | undefined {
  if (url === 'memory:') return { scheme: 'memory', url, path: '' }
  // What is wrong in one is said when it is opened: no value that may hold a secret is repeated before.
  if (url.startsWith('s3:')) return { scheme: 's3', url, path: '' }
  const [, scheme, path] = /^(fs|maildir):([^\0]+)$/.exec(url) ?? []
  if (path === undefined) return undefined
  // A directory may have a question mark in its name, but hardly an assignment behind it.
  const [, directory = path, query] = /^(.+?)\?([a-z]+=.*)$/i.exec(path) ?? []
  return { scheme: scheme === 'fs' ? 'fs' : 'maildir', url, path: directory, ...(query !== undefined && { query }) }
}

/** Whether this is a store of the user's own. */
export function isStore(value: unknown): value is BlobStore | MailStore {
  if (typeof value !== 'object' || value === null) return false
  return 'list' in value && typeof value.list === 'function' && ('save' in value || 'write' in value)
}

/** How messages name a store: its URL, or that it is the config file's own. */
export function storeName(store: StoreChoice): string {
  return isUrl(store) ? store.url : 'the store of the config file'
}

/** Whether the store is a directory of this machine. */
export function isDirectory({ scheme }: StoreUrl): boolean {
  return scheme === 'fs' || scheme === 'maildir'
}

/** Whether the store was named by a URL. */
export function isUrl(store: StoreChoice): store is StoreUrl {
  return 'url' in store && 'scheme' in store
}

/** Whether these are credentials, or a function that gives some. */
export function isS3Credentials(value: unknown): value is S3CredentialsSource {
  if (typeof value === 'function') return true
  if (typeof value !== 'object' || value === null) return false
  const { accessKeyId, secretAccessKey, sessionToken, ...others } = value as Partial<S3Credentials>
  const isText = (text: unknown): boolean => typeof text === 'string' && text !== ''
  const isToken = sessionToken === undefined || isText(sessionToken)
  return isText(accessKeyId) && isText(secretAccessKey) && isToken && Object.keys(others).length === 0
}
