/** Refuses recipients that the store does not know. */
import { type MailStore, refuseUnknown } from '@postern/storage'
import type { Guard } from '../guard.ts'

/** Makes the guard. Returns undefined if the store accepts every recipient. */
export function mailboxesGuard(store: MailStore): Guard | undefined {
  if (store.accepts === undefined) return undefined
  const refuse = refuseUnknown(store)
  return { name: 'mailboxes', rcpt: (path) => (path.handling?.keeps === false ? undefined : refuse(path)) }
}
