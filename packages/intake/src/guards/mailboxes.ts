/** Refuses recipients who have no place in the store. */
import { type MailStore, refuseUnknown } from '@postern/storage'
import type { Guard } from '../guard.ts'

/** Undefined where the store takes mail for all, and is not asked. */
export function mailboxesGuard(store: MailStore): Guard | undefined {
  return store.accepts === undefined ? undefined : { name: 'mailboxes', rcpt: refuseUnknown(store) }
}
