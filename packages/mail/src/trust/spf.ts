/** SPF (RFC 7208), by `mailauth`. */
import { asciiDomain } from '@postern/engine'
import type { Lookups } from './lookups.ts'
import type { SpfResult, SpfVerdict } from './verdicts.ts'

export interface SpfQuestion {
  /** The client's. */
  readonly address: string
  /** The name of its greeting. */
  readonly hello: string
  /** '' if it is null. */
  readonly reversePath: string
}

const RESULTS: ReadonlySet<string> = new Set<SpfResult>([
  'none',
  'neutral',
  'pass',
  'fail',
  'softfail',
  'temperror',
  'permerror',
])

/** Checks the reverse-path, or the greeting if that is null. */
export async function checkSpf(question: SpfQuestion, lookups: Lookups, hostname: string): Promise<SpfVerdict> {
  const { address, hello, reversePath } = question
  const identity = reversePath === '' ? 'helo' : 'mailfrom'
  const name = reversePath === '' ? hello : reversePath.slice(reversePath.lastIndexOf('@') + 1)
  const domain = asciiDomain(name)
  // RFC 7208 4.3: an address literal, or a name of one label, has no record.
  if (domain === undefined || !domain.includes('.')) return { result: 'none', identity }
  const localPart = reversePath.slice(0, Math.max(0, reversePath.lastIndexOf('@')))
  const { spf } = await import('mailauth/lib/spf/index.js')
  const { status } = await spf({
    sender: identity === 'helo' ? '' : `${localPart}@${domain}`,
    ip: address,
    helo: identity === 'helo' ? domain : hello,
    mta: hostname,
    resolver: lookups.asNode as never,
    strict: true,
  })
  const { result } = status
  return { result: RESULTS.has(result) ? (result as SpfResult) : 'permerror', identity, domain }
}
