/** Policies of MTA-STS, which a restart does not forget: a domain promises its policy for weeks, and somebody may suppress it now. */
import type { Resolver } from '@postern/dns'
import type { StsPolicies } from '@postern/relay/route'
import type { Logger } from '@logtape/logtape'
import type { Settings } from '../../config/settings.ts'
import { KeptFile, readKept } from './kept-file.ts'
import { stsPoliciesPath } from './paths.ts'

export interface StsPoliciesDeps {
  readonly settings: Settings
  readonly resolver: Resolver
  /** PEM of authorities that are trusted in place of those of the runtime. */
  readonly ca: readonly string[]
  readonly log: Logger
}

export interface SavedStsPolicies {
  readonly policies: StsPolicies
  /** Writes the file a last time. Never rejects. */
  close(): Promise<void>
}

const SAVE_MS = 60_000
const WHAT = 'the policies of MTA-STS'

/** The directory of the queue must exist. Policies of servers that share a queue are in memory alone. */
export async function openStsPolicies({ settings, resolver, ca, log }: StsPoliciesDeps): Promise<SavedStsPolicies> {
  const { createStsPolicies, readKeptPolicies } = await import('@postern/relay/route')
  const { httpsPolicyFetch } = await import('@postern/relay/route/https')
  const { queue, relayStsPort } = settings.options
  // Servers that share a queue have no directory in common.
  const path = queue.scheme === 'nats' ? undefined : stsPoliciesPath(queue.url)
  const policies = createStsPolicies({
    resolver,
    fetch: httpsPolicyFetch({ resolver, port: relayStsPort, ...(ca.length > 0 && { authorities: ca }) }),
    kept: path === undefined ? undefined : await readKept(path, WHAT, readKeptPolicies, log),
  })
  if (path === undefined) return { policies, close: () => Promise.resolve() }
  const file = new KeptFile(path, WHAT, policies, log)
  const timer = setInterval(() => void file.save(), SAVE_MS)
  timer.unref()
  return {
    policies,
    async close() {
      clearInterval(timer)
      await file.save()
    },
  }
}
