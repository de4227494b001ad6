/** Opens the store that the settings name. A backend is loaded when it is chosen. */
import { existsSync } from 'node:fs'
import type { ByteCount, MailStore } from '@postern/storage'
import type { FsLayout } from '@postern/storage/fs'
import type { MailboxCreation } from '@postern/storage/maildir'
import type { Logger } from '@logtape/logtape'
import { errorText, EXIT, Failure } from '../../host/failure.ts'
import type { Settings } from '../../config/settings.ts'
import { openS3 } from './s3.ts'
import { isDirectory, isUrl, type StoreUrl } from '../../config/urls/store-url.ts'
import { safe } from '../../host/terminal.ts'

/** What somebody wants with a store. */
export interface StoreAccess {
  /** Default true. False only looks: that needs no more than the permission to read. */
  readonly writable?: boolean
  /** How many workers share the store's bound on open files. Default 1. */
  readonly workerCount?: number
  /** Counts what the stores of all workers hold in memory. Default: what this one does. */
  readonly bufferedBytes?: ByteCount
  /** Told when the store's directory is lost, as after an unmount, and when it is back. */
  readonly log?: Logger
}

/** Messages over 64 KiB that are written at one time, by all workers together, and as many that are read. */
const MAX_OPEN_FILES = 1024

/** As the stores name them: a store is loaded when it is chosen. */
const FS_LAYOUTS = ['files', 'packed'] as const satisfies readonly FsLayout[]
const CREATIONS = ['none', 'domain', 'any'] as const satisfies readonly MailboxCreation[]

const MAIL_STORE_METHODS = ['save', 'load', 'list', 'delete', 'bounce', 'sweep', 'expire'] as const

/** What the URL of a store in a directory says behind the `?`. */
interface DirectoryTerms {
  /** How mail is to lie in the directory of an `fs:` store. */
  readonly layout?: FsLayout
  /** Which mailboxes of a `maildir:` store are made when mail comes for them. */
  readonly create?: MailboxCreation
}

/** Reads what stands behind the `?`. @throws Failure */
function termsOf({ scheme, url, query }: StoreUrl, settings: Settings): DirectoryTerms {
  if (query === undefined) return {}
  const all: readonly DirectoryTerms[] =
    scheme === 'fs' ? FS_LAYOUTS.map((layout) => ({ layout })) : CREATIONS.map((create) => ({ create }))
  const spelled = (terms: DirectoryTerms): string => Object.entries(terms).flat().join('=')
  const found = all.find((terms) => query === spelled(terms))
  if (found !== undefined) return found
  const values = all.map(spelled)
  const allowed = `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`
  throw new Failure(
    `${settings.spelled('store')} ${safe(url)}: after the ? only ${allowed} is allowed, not ${safe(query)}`,
  )
}

/** Which mailboxes mail makes in a `maildir:` store. */
export function creationOf(store: StoreUrl, settings: Settings): MailboxCreation {
  return termsOf(store, settings).create ?? 'none'
}

/** Opens the store to keep mail in it, and makes it where that is due. @throws Failure when it can't be used. */
export async function openStore(settings: Settings, access: StoreAccess = {}): Promise<MailStore> {
  const { store } = settings.options
  const { isStorageError, mailStore } = await import('@postern/storage')
  if (!isUrl(store)) return 'save' in store ? wholeStore(store, settings) : mailStore(store)
  if (store.scheme === 'memory') {
    const { memory } = await import('@postern/storage/memory')
    return mailStore(memory())
  }
  if (store.scheme === 's3') return mailStore(await openS3(settings, store.url, access.bufferedBytes))
  const { writable = true, workerCount = 1, log } = access
  const options = {
    ...termsOf(store, settings),
    writable,
    maxOpenFiles: Math.ceil(MAX_OPEN_FILES / workerCount),
    lost: ({ message }: Error) =>
      log?.error("the store's directory is lost: mail gets 451 until it is back", { reason: message }),
    back: () => log?.info("the store's directory is back: mail is accepted again", { store: store.url }),
  }
  try {
    if (store.scheme === 'maildir') {
      const { maildir } = await import('@postern/storage/maildir')
      return maildir(store.path, { ...options, hostname: settings.options.hostname })
    }
    const { fs } = await import('@postern/storage/fs')
    return mailStore(fs(store.path, options))
  } catch (error) {
    const isClear = !writable || isStorageError(error, 'other-layout')
    const advice = isClear ? '' : '; give a writable directory'
    throw new Failure(`${settings.spelled('store')} ${store.url}: ${safe(errorText(error))}${advice}`, EXIT.misused, {
      cause: error,
    })
  }
}

/** A config file need not be TypeScript, nor newer than this program: what is missing is to be said now, and not in an hour. */
function wholeStore(store: MailStore, settings: Settings): MailStore {
  const missing = MAIL_STORE_METHODS.filter((name) => typeof store[name] !== 'function')
  if (missing.length === 0) return store
  const names = missing.map((name) => `${name}()`).join(', ')
  throw new Failure(`${settings.spelled('store')}: it has no ${names}; a MailStore must have all its methods`)
}

/** Opens a store that is there already. @throws Failure where there is none, or when it can't be used. */
export async function openExistingStore(settings: Settings, access: StoreAccess = {}): Promise<MailStore> {
  const { store } = settings.options
  if (isUrl(store) && store.scheme === 'memory') {
    throw new Failure(`${settings.spelled('store')} memory: keeps mail only in the running server; name an fs: store`)
  }
  if (isUrl(store)) termsOf(store, settings)
  if (isUrl(store) && isDirectory(store) && !existsSync(store.path)) {
    throw new Failure(
      `${store.url}: there is no such directory; name the store with --store, or run postern serve first`,
    )
  }
  return openStore(settings, access)
}
