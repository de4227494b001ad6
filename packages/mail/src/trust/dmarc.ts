/** DMARC (RFC 9989), by `mailauth`. */
import { domainsOfFrom, type RawField, valueOf } from '../signatures/index.ts'
import type { Lookups } from './lookups.ts'
import type { DkimVerdict, DmarcPolicy, DmarcResult, DmarcVerdict, SpfVerdict } from './verdicts.ts'

/** The author of a message, if there is one whom every reader sees. */
export type Author = { readonly domain: string } | Pick<DmarcVerdict, 'result' | 'reason'>

const RESULTS: ReadonlySet<string> = new Set<DmarcResult>(['none', 'pass', 'fail', 'temperror', 'permerror'])
const POLICIES: ReadonlySet<string> = new Set<DmarcPolicy>(['none', 'quarantine', 'reject'])

/** Finds the domain of From. Two fields or two domains have none, because nobody knows which of them a reader sees. */
export function authorOf(fields: readonly RawField[]): Author {
  const [from, ...others] = fields.filter(({ name }) => name === 'from')
  if (from === undefined) return { result: 'none', reason: 'no-from' }
  if (others.length > 0) return { result: 'permerror', reason: 'several-from' }
  const domains = new Set(domainsOfFrom(valueOf(from)))
  const [domain] = domains
  if (domain === undefined) return { result: 'permerror', reason: 'bad-from' }
  return domains.size > 1 ? { result: 'permerror', reason: 'several-domains' } : { domain }
}

/** Compares From with what SPF and DKIM prove, and finds what the owner of its domain asks for. */
export async function checkDmarc(
  author: Author,
  { spf, dkim }: { readonly spf: SpfVerdict; readonly dkim: readonly DkimVerdict[] },
  lookups: Lookups,
): Promise<DmarcVerdict> {
  if (!('domain' in author)) return author
  const { domain } = author
  const { evaluateDmarc } = await import('mailauth/lib/dmarc/index.js')
  const { response } = await evaluateDmarc({
    headerFrom: [domain],
    spfDomains: spf.result === 'pass' && spf.domain !== undefined ? [{ domain: spf.domain }] : [],
    dkimDomains: dkim.flatMap((one) => (one.result === 'pass' ? [{ domain: one.domain ?? '' }] : [])),
    resolver: lookups.asNode as never,
    strict: true,
  } as never)
  if (response === false) return { result: 'permerror', domain, reason: 'bad-from' }
  const found = response as unknown as MailauthResult
  const result = RESULTS.has(found.status.result) ? (found.status.result as DmarcResult) : 'permerror'
  const aligned = (['spf', 'dkim'] as const).filter((way) => typeof found.alignment?.[way]?.result === 'string')
  // Another domain of the sender's could not have passed for this one, so its DNS decides nothing.
  const below = (other: string | undefined): boolean =>
    other !== undefined && (other === found.domain || other.endsWith(`.${found.domain}`))
  const isLate = [spf, ...dkim].some((one) => one.result === 'temperror' && below(one.domain))
  const policy = found.policy !== undefined && POLICIES.has(found.policy) ? (found.policy as DmarcPolicy) : undefined
  return {
    result: isLate && result === 'fail' ? 'temperror' : result,
    domain,
    ...(policy !== undefined && { policy }),
    ...(found.policyDomain !== undefined && { recordDomain: found.policyDomain }),
    ...(aligned.length > 0 && { aligned }),
  }
}

/** What is used of the answer of `mailauth`, whose types lag behind. */
interface MailauthResult {
  readonly status: { readonly result: string }
  /** The Organizational Domain. */
  readonly domain?: string
  readonly policy?: string
  readonly policyDomain?: string
  readonly alignment?: Readonly<Record<'spf' | 'dkim', { readonly result?: unknown } | undefined>>
}
