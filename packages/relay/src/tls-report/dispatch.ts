/** The report of a day, for a domain that wants it: RFC 8460 3 and 5. */
import type { Resolver } from '@postern/dns/names'
import type { DomainCounts } from './counts.ts'
import { reportTargets } from './record.ts'
import { compressed, tlsReport, tlsReportMail } from './report.ts'

export interface TlsDispatchOptions {
  readonly resolver: Resolver
  readonly organization: string
  readonly contact: string
  /** The domain that sends the reports, in ASCII. DKIM has to sign them for it. */
  readonly submitter: string
  readonly from: string
  /** Milliseconds since 1970: the beginning and the end of the day, and now. */
  readonly startsAt: number
  readonly endsAt: number
  readonly now: number
  /** Names the report: 8 to 64 letters, digits, dots and hyphens. */
  readonly id: string
  /** Ends the look-up. */
  readonly signal?: AbortSignal | undefined
}

/** What is sent for one domain. */
export type TlsDispatch =
  | { readonly kind: 'mail'; readonly domain: string; readonly to: readonly string[]; readonly message: Uint8Array }
  /** A POST with the type {@link TLS_REPORT_TYPE}. */
  | { readonly kind: 'https'; readonly domain: string; readonly url: string; readonly body: Uint8Array<ArrayBuffer> }

/**
 * Makes what is sent for one domain: nothing, if it wants no report.
 * @returns 'unknown' if DNS cannot tell now what the domain wants
 * @throws TypeError if the report cannot be made
 */
export async function tlsDispatches(
  counts: DomainCounts,
  { resolver, id, organization, contact, submitter, from, startsAt, endsAt, now, signal }: TlsDispatchOptions,
): Promise<readonly TlsDispatch[] | 'unknown'> {
  const { domain } = counts
  const answer = await resolver.resolve(`_smtp._tls.${domain}`, 'TXT', { signal })
  if (answer.status === 'failed') return 'unknown'
  const targets = answer.status === 'found' ? reportTargets(answer.records.map(({ text }) => text)) : undefined
  if (targets === undefined) return []
  const report = tlsReport({ counts, organization, contact, id, startsAt, endsAt })
  const dispatches: TlsDispatch[] = []
  const { mail: to, https } = targets
  if (to.length > 0) {
    const message = await tlsReportMail({ report, domain, submitter, from, to, now })
    dispatches.push({ kind: 'mail', domain, to, message })
  }
  if (https.length === 0) return dispatches
  const body = await compressed(report)
  return [...dispatches, ...https.map((url) => ({ kind: 'https', domain, url, body }) as const)]
}
