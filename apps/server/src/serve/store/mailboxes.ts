/** What an operator has to do before a `maildir:` store takes mail for anybody. */
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Settings } from '../../config/settings.ts'
import { creationOf } from './store.ts'
import { isUrl } from '../../config/urls/store-url.ts'

/** In each domain: whose mailbox is made in any case. */
const POSTMASTER = 'postmaster'

/** Why every recipient but a postmaster is refused, and what to do; undefined where there is a mailbox, or mail makes it. */
export function missingMailboxes(settings: Settings): string | undefined {
  const { store } = settings.options
  if (!isUrl(store) || store.scheme !== 'maildir') return undefined
  const create = creationOf(store, settings)
  if (create === 'any') return undefined
  const root = resolve(store.path)
  for (const domain of directoriesIn(root)) {
    const names = directoriesIn(join(root, domain))
    const isEmpty = names.length === 0
    // One with nobody but a postmaster was made by mail for that.
    if (isEmpty ? create === 'domain' : names.some((name) => name !== POSTMASTER)) return undefined
  }
  if (create === 'domain') return `there is no domain yet; make ${join(root, 'example.com')}, or give ?create=any`
  const mailbox = join(root, 'example.com/ann')
  return `there is no mailbox yet; make ${mailbox}/{new,cur,tmp}, or give ?create=domain or ?create=any`
}

/** What is visible in a directory. Of one that can't be read nothing is: when mail comes, its error is told. */
function directoriesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => name)
  } catch {
    return []
  }
}
