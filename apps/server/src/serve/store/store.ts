/** Opens the store that the settings name. Loads only the chosen backend. */
import { existsSync } from 'node:fs'
import type { ByteCount, MailStore } from '@postern/storage'
import type { FsLayout } from '@postern/storage/fs'
import type { MailboxCreation } from '@postern/storage/maildir'
import type { Logger } from '@logtape/logtape'
import { errorText, EXIT, Failure } from '../../host/failure.ts'
import type { Settings } from '../../config/settings.ts'
import { openS3 } from './s3.ts'
import { type DirectoryScheme, type DirectoryUrl, isDirectory, isUrl } from '../../config/urls/store-url.ts'
import { safe } from '../../host/terminal.ts'

/** How a caller uses the store. */
export interface StoreAccess {
  /** Default true. If false, the caller only reads, so only the permission to read is needed. */
  readonly writable?: boolean
  /** How many workers share the store's bound on open files. Default 1. */
  readonly workerCount?: number
  /** Counts the bytes that the stores of all workers hold in memory. Default: those of this store only. */
  readonly bufferedBytes?: ByteCount
  /** Logs that the store's directory is lost, for example after an unmount, and that it is back. */
  readonly log?: Logger
}

/** Messages over 64 KiB that all workers together may write at the same time. They may read as many, and write as many attachments beside them. */
export const MAX_OPEN_FILES = 1024

/** The names of the layouts. They are repeated here, because a store is loaded only when it is chosen. */
const FS_LAYOUTS = ['files', 'packed'] as const satisfies readonly FsLayout[]
const CREATIONS = ['none', 'domain', 'any'] as const satisfies readonly MailboxCreation[]

const MAIL_STORE_METHODS = ['save', 'load', 'list', 'delete', 'bounce', 'sweep', 'expire'] as const

/** The query of a store URL with a directory. */
interface DirectoryTerms {
  /** The layout of an `fs:` store. */
  readonly layout?: FsLayout
  /** Which mailboxes of a `maildir:` store Postern creates when mail comes. */
  readonly create?: MailboxCreation
}

const TERMS: Readonly<Record<DirectoryScheme, readonly DirectoryTerms[]>> = {
  fs: FS_LAYOUTS.map((layout) => ({ layout })),
  maildir: CREATIONS.map((create) => ({ create })),
}

/** Reads the text after the `?`. @throws Failure */
function termsOf({ scheme, url, query }: DirectoryUrl, settings: Settings): DirectoryTerms {
  if (query === undefined) return {}
  const all = TERMS[scheme]
  const spelled = (terms: DirectoryTerms): string => Object.entries(terms).flat().join('=')
  const found = all.find((terms) => query === spelled(terms))
  if (found !== undefined) return found
  const values = all.map(spelled)
  const allowed = `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`
  throw new Failure(
    `${settings.spelled('store')} ${safe(url)}: after the ? only ${allowed} is allowed, not ${safe(query)}`,
  )
}

/** Returns which mailboxes Postern creates in a `maildir:` store. */
export function creationOf(store: DirectoryUrl, settings: Settings): MailboxCreation {
  return termsOf(store, settings).create ?? 'none'
}

/** Opens the store, and creates its directory if it does not exist. @throws Failure if the store can't be used */
export async function openStore(settings: Settings, access: StoreAccess = {}): Promise<MailStore> {
  const { store } = settings.options
  const { mailStore } = await import('@postern/storage')
  if (!isUrl(store)) return 'save' in store ? wholeStore(store, settings) : mailStore(store)
  switch (store.scheme) {
    case 'memory': {
      const { memory } = await import('@postern/storage/memory')
      return mailStore(memory())
    }
    case 's3':
      return mailStore(await openS3(settings, store.url, { bufferedBytes: access.bufferedBytes }))
    case 'fs':
    case 'maildir':
      return openDirectory(store, settings, access)
  }
}

/** Opens a store in a directory of this machine. @throws Failure if it can't be used */
async function openDirectory(store: DirectoryUrl, settings: Settings, access: StoreAccess): Promise<MailStore> {
  const { isStorageError, mailStore } = await import('@postern/storage')
  const { writable = true, workerCount = 1, log } = access
  const options = {
    ...termsOf(store, settings),
    writable,
    // A command that only reads waits for each answer anyway.
    blocking: !writable,
    maxOpenFiles: Math.ceil(MAX_OPEN_FILES / workerCount),
    lost: ({ message }: Error) =>
      log?.error("the store's directory is lost: mail gets 451 until it is back", { reason: message }),
    back: () => log?.info("the store's directory is back: mail is accepted again", { store: store.url }),
  }
  try {
    switch (store.scheme) {
      case 'maildir': {
        const { maildir } = await import('@postern/storage/maildir')
        return maildir(store.path, { ...options, hostname: settings.options.hostname })
      }
      case 'fs': {
        const { fs } = await import('@postern/storage/fs')
        return mailStore(fs(store.path, options))
      }
    }
  } catch (error) {
    const isClear = !writable || isStorageError(error, 'other-layout')
    const advice = isClear ? '' : '; give a writable directory'
    throw new Failure(`${settings.spelled('store')} ${store.url}: ${safe(errorText(error))}${advice}`, EXIT.misused, {
      cause: error,
    })
  }
}

/**
 * Checks the methods of a user's own store at the start. Its file may be JavaScript, or older than this program, and a
 * missing method would be noticed only later.
 */
function wholeStore(store: MailStore, settings: Settings): MailStore {
  const missing = MAIL_STORE_METHODS.filter((name) => typeof store[name] !== 'function')
  if (missing.length === 0) return store
  const names = missing.map((name) => `${name}()`).join(', ')
  throw new Failure(`${settings.spelled('store')}: it has no ${names}; a MailStore must have all its methods`)
}

/** @throws Failure if the store can't keep attachments apart, and the options ask for that */
export function checkApart({ options, spelled }: Settings, store: MailStore): void {
  if (options.attachments === 'inside' || store.attachments !== undefined) return
  throw new Failure(`${spelled('attachments')} apart: this store can't do that; name an fs: or s3: store`)
}

/**
 * Opens an existing store.
 * @throws Failure if there is none, or if it cannot be used
 */
export async function openExistingStore(settings: Settings, access: StoreAccess = {}): Promise<MailStore> {
  const { store } = settings.options
  if (isUrl(store) && store.scheme === 'memory') {
    throw new Failure(`${settings.spelled('store')} memory: keeps mail only in the running server; name an fs: store`)
  }
  if (isUrl(store) && isDirectory(store)) {
    termsOf(store, settings)
    if (!existsSync(store.path)) {
      throw new Failure(
        `${store.url}: there is no such directory; name the store with --store, or run postern serve first`,
      )
    }
  }
  return openStore(settings, access)
}
