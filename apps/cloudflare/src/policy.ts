/**
 * Who may send what to whom: the one file that is yours to change. Every hook of the engine may stand here, and AUTH; all four
 * doors ask them.
 *
 * As it is, mail is taken for every mailbox of the domains in POSTERN_DOMAINS, and for `<postmaster>` (RFC 5321 4.5.1). Mail for
 * any other domain is refused with `550 5.7.1`: nothing here sends mail on, so to take it would be to lose it. A mailbox that
 * nobody has is not known here, so mail for it is taken and kept like any other; look it up in `rcpt` to refuse it with `550 5.1.1`.
 */
import type { AuthOptions, Handlers } from '@postern/engine'
import { domainsGuard } from '@postern/intake/guards'
import type { Env } from './env.ts'
import type { Settings } from './settings.ts'

/** The engine's hooks, and AUTH. `data` may refuse a message; one that it says nothing about is kept. */
export interface Policy extends Omit<Handlers, 'error'> {
  readonly auth?: AuthOptions
}

export function policy({ domains }: Settings, _env: Env): Policy {
  if (domains === undefined) return {}
  const { rcpt } = domainsGuard(domains)
  return { rcpt }
}
