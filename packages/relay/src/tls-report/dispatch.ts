/** The reports of a day, for the domains that want them: RFC 8460 3 and 5. */
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
  /** Makes the id of a report: 8 to 64 letters, digits, dots and hyphens. */
  makeId(domain: string): string
  /** Called for a domain whose report cannot be made. */
  failed?(domain: string, error: unknown): void
}

/** What is sent for one domain. */
export type TlsDispatch =
  | { readonly kind: 'mail'; readonly domain: string; readonly to: readonly string[]; readonly message: Uint8Array }
  /** A POST with the type {@link TLS_REPORT_TYPE}. */
  | { readonly kind: 'https'; readonly domain: string; readonly url: string; readonly body: Uint8Array<ArrayBuffer> }

/** Makes the reports, one domain after another, so that the memory for one is enough. */
export async function* tlsDispatches(
  counts: readonly DomainCounts[],
  options: TlsDispatchOptions,
): AsyncGenerator<TlsDispatch, void, undefined> {
  for (const each of counts) {
    try {
      yield* dispatchesOf(each, options)
    } catch (error) {
      options.failed?.(each.domain, error)
    }
  }
}

async function* dispatchesOf(
  counts: DomainCounts,
  { resolver, makeId, organization, contact, submitter, from, startsAt, endsAt, now }: TlsDispatchOptions,
): AsyncGenerator<TlsDispatch, void, undefined> {
  const { domain } = counts
  const answer = await resolver.resolve(`_smtp._tls.${domain}`, 'TXT')
  const targets = answer.status === 'found' ? reportTargets(answer.records.map(({ text }) => text)) : undefined
  if (targets === undefined) return
  const report = tlsReport({ counts, organization, contact, id: makeId(domain), startsAt, endsAt })
  const { mail: to, https } = targets
  if (to.length > 0) {
    const message = await tlsReportMail({ report, domain, submitter, from, to, now })
    yield { kind: 'mail', domain, to, message }
  }
  if (https.length === 0) return
  const body = await compressed(report)
  for (const url of https) yield { kind: 'https', domain, url, body }
}
