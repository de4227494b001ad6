/** Checks if a `maildir:` store has any mailbox, and says what to do if not. */
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Settings } from '../../config/settings.ts'
import { creationOf } from './store.ts'
import { isUrl } from '../../config/urls/store-url.ts'

/** The mailbox that Postern creates in each domain. */
const POSTMASTER = 'postmaster'

/** Returns why all recipients except postmasters are refused, and what to do. Returns undefined if there is a mailbox, or Postern creates it. */
export function missingMailboxes(settings: Settings): string | undefined {
  const { store } = settings.options
  if (!isUrl(store) || store.scheme !== 'maildir') return undefined
  const create = creationOf(store, settings)
  if (create === 'any') return undefined
  const root = resolve(store.path)
  for (const domain of directoriesIn(root)) {
    const names = directoriesIn(join(root, domain))
    const isEmpty = names.length === 0
    // A domain with only a postmaster was created by mail for the postmaster.
    if (isEmpty ? create === 'domain' : names.some((name) => name !== POSTMASTER)) return undefined
  }
  if (create === 'domain') return `there is no domain yet; make ${join(root, 'example.com')}, or give ?create=any`
  const mailbox = join(root, 'example.com/ann')
  return `there is no mailbox yet; make ${mailbox}/{new,cur,tmp}, or give ?create=domain or ?create=any`
}

/**
 * Returns the directories in a directory. Returns none if it cannot be read, because the error is reported when mail
 * comes.
 */
function directoriesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => name)
  } catch {
    return []
  }
}
