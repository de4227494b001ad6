/**
 * The policy: who may send what to whom. This is the one file for you to change. It may have every hook of the engine,
 * and AUTH. All four entry points use them.
 *
 * Without changes, the Worker accepts mail for every mailbox of the domains in POSTERN_DOMAINS, and for `<postmaster>`
 * (RFC 5321 4.5.1). It refuses mail for any other domain with `550 5.7.1`: it relays nothing, so that mail would be
 * lost. It does not know which mailboxes exist, so it stores mail for all of them. To refuse one with `550 5.1.1`, look
 * it up in `rcpt`.
 */
import type { AuthOptions, Handlers } from '@postern/engine'
import { domainsGuard } from '@postern/intake/guards'
import type { Env } from './env.ts'
import type { Settings } from '@postern/worker/settings'

/** The engine's hooks, and AUTH. `data` may refuse a message. If it answers undefined, the message is stored. */
export interface Policy extends Omit<Handlers, 'error'> {
  readonly auth?: AuthOptions
}

export function policy({ domains }: Settings, _env: Env): Policy {
  if (domains === undefined) return {}
  const { rcpt } = domainsGuard(domains)
  return { rcpt }
}
