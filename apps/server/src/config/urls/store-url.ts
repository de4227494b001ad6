/** Reads the `store` option (a URL, or the user's own store) and S3 credentials. */
import type { BlobStore, MailStore } from '@postern/storage'
import type { S3Credentials, S3CredentialsSource } from '@postern/storage/s3'

const DIRECTORY_SCHEMES = ['fs', 'maildir'] as const

/** The schemes of stores in a directory of this machine. */
export type DirectoryScheme = (typeof DIRECTORY_SCHEMES)[number]

/** The parts of a store URL. */
export type StoreUrl = DirectoryUrl | OtherUrl

/** The parts of the URL of a store in a directory of this machine. */
export interface DirectoryUrl {
  readonly scheme: DirectoryScheme
  /** As the user wrote it. */
  readonly url: string
  /** The directory. */
  readonly path: string
  /** The text after the `?`. */
  readonly query?: string
}

interface OtherUrl {
  readonly scheme: 'memory' | 's3'
  /** As the user wrote it. */
  readonly url: string
}

/** The values that the `store` option may have. */
export type StoreChoice = StoreUrl | BlobStore | MailStore

export const STORE_ALLOWED: string = 'a store URL such as fs:./mail, maildir:./mail, s3://bucket/prefix or memory:'

/** Reads a store URL. Returns undefined if it is not one. */
export function parseStoreUrl(url: string): StoreUrl | undefined {
  if (url === 'memory:') return { scheme: 'memory', url }
  // An `s3:` URL is checked when it is opened. An error here would repeat the value, which may contain a secret.
  if (url.startsWith('s3:')) return { scheme: 's3', url }
  const scheme = DIRECTORY_SCHEMES.find((name) => url.startsWith(`${name}:`))
  if (scheme === undefined) return undefined
  const path = url.slice(scheme.length + 1)
  if (path === '' || path.includes('\0')) return undefined
  // A directory may have a question mark in its name, so only `?name=` begins the query.
  const [, directory = path, query] = /^(.+?)\?([a-z]+=.*)$/i.exec(path) ?? []
  return { scheme, url, path: directory, ...(query !== undefined && { query }) }
}

/** Returns whether this is a store object of the user's own. */
export function isStore(value: unknown): value is BlobStore | MailStore {
  if (typeof value !== 'object' || value === null) return false
  return 'list' in value && typeof value.list === 'function' && ('save' in value || 'write' in value)
}

/** Returns the store's name for messages. */
export function storeName(store: StoreChoice): string {
  return isUrl(store) ? store.url : 'the store of the config file'
}

/** Returns whether the store is a directory of this machine. */
export function isDirectory(store: StoreUrl): store is DirectoryUrl {
  return 'path' in store
}

/** Returns whether the store was given as a URL. A store object of the user's own is none, whatever properties it has. */
export function isUrl(store: StoreChoice): store is StoreUrl {
  return !isStore(store)
}

/** Returns whether these are credentials, or a function that returns them. */
export function isS3Credentials(value: unknown): value is S3CredentialsSource {
  if (typeof value === 'function') return true
  if (typeof value !== 'object' || value === null) return false
  const { accessKeyId, secretAccessKey, sessionToken, ...others } = value as Partial<S3Credentials>
  const isText = (text: unknown): boolean => typeof text === 'string' && text !== ''
  const isToken = sessionToken === undefined || isText(sessionToken)
  return isText(accessKeyId) && isText(secretAccessKey) && isToken && Object.keys(others).length === 0
}
