/**
 * The policy: who may send what to whom. This is the one file for you to change. It may have every hook of the engine,
 * and AUTH. All four entry points use them.
 *
 * Without changes, the Worker accepts mail for every mailbox of the domains in POSTERN_DOMAINS, and for `<postmaster>`
 * (RFC 5321 4.5.1). It refuses mail for any other domain with `550 5.7.1`: it relays nothing, so that mail would be
 * lost. It does not know which mailboxes exist, so it stores mail for all of them. To refuse one with `550 5.1.1`, look
 * it up in `rcpt`.
 */
import type { R2Bucket } from '@cloudflare/workers-types'
import type { Policy } from '@postern/worker'

/** The Worker's bindings. On Cloudflare `wrangler.jsonc` lists them. */
export interface Env {
  /** The bucket that stores the mail. A Worker on your own machine has none. */
  readonly MAIL?: R2Bucket
}

export const policy: Policy<Env> = { handlers: {} }
