/** The report of one day for one domain: RFC 8460 4.4 (JSON), 5.2 (HTTPS) and 5.3 (mail). */
import type { DomainCounts, PolicyCounts } from './counts.ts'

export interface TlsReportOptions {
  readonly counts: DomainCounts
  /** Who sends the report, for people. */
  readonly organization: string
  /** An address to write to. */
  readonly contact: string
  /** Names the report: 8 to 64 letters, digits, dots and hyphens, with the day in it, so that no two reports of a sender have the same. */
  readonly id: string
  /** Milliseconds since 1970. A report is about a whole day, in UTC. */
  readonly startsAt: number
  readonly endsAt: number
}

/** What RFC 8460 4.4 calls the report. */
export interface TlsReport {
  readonly 'organization-name': string
  readonly 'date-range': { readonly 'start-datetime': string; readonly 'end-datetime': string }
  readonly 'contact-info': string
  readonly 'report-id': string
  readonly policies: readonly object[]
}

export interface TlsReportMailOptions {
  readonly report: TlsReport
  readonly domain: string
  /** The domain that sends the report. DKIM has to sign the mail for it (RFC 8460 5.3). */
  readonly submitter: string
  readonly from: string
  readonly to: readonly string[]
  readonly now: number
}

const ID = /^[A-Za-z0-9.-]{8,64}$/
/** Nothing that ends a header field, an address or a file name. */
const HEADER_TEXT = /^[\x21\x23-\x3b\x3d\x3f-\x5b\x5d-\x7e]{1,320}$/
const MEDIA_TYPE = 'application/tlsrpt+gzip'
const encoder = new TextEncoder()

/** Makes the report. @throws TypeError if the id is not as it should be */
export function tlsReport({ counts, organization, contact, id, startsAt, endsAt }: TlsReportOptions): TlsReport {
  if (!ID.test(id)) throw new TypeError('the id of a report has 8 to 64 letters, digits, dots and hyphens')
  return {
    'organization-name': organization,
    'date-range': { 'start-datetime': isoTime(startsAt), 'end-datetime': isoTime(endsAt) },
    'contact-info': contact,
    'report-id': id,
    policies: counts.policies.map((policy) => policyOf(policy, counts.domain)),
  }
}

function policyOf({ policy, successes, failures, details }: PolicyCounts, domain: string): object {
  const { type, strings, mxHosts } = policy
  return {
    policy: {
      'policy-type': type,
      ...(strings.length > 0 && { 'policy-string': strings }),
      // The domain of DANE is the host that has the records (RFC 8460 4.4).
      'policy-domain': type === 'tlsa' ? policy.domain : domain,
      ...(mxHosts.length > 0 && { 'mx-host': mxHosts }),
    },
    summary: { 'total-successful-session-count': successes, 'total-failure-session-count': failures },
    ...(details.length > 0 && {
      'failure-details': details.map(({ type, host, sendingAddress, receivingAddress, detail, count }) => ({
        'result-type': type,
        ...(sendingAddress !== '' && { 'sending-mta-ip': sendingAddress }),
        ...(host !== '' && { 'receiving-mx-hostname': host }),
        ...(receivingAddress !== '' && { 'receiving-ip': receivingAddress }),
        'failed-session-count': count,
        ...(detail !== '' && { 'failure-reason-code': detail }),
      })),
    }),
  }
}

/** Compresses the report. It is the body of a POST with {@link TLS_REPORT_TYPE}. */
export async function compressed(report: TlsReport): Promise<Uint8Array<ArrayBuffer>> {
  const source = new Blob([JSON.stringify(report)]).stream()
  return new Uint8Array(await new Response(source.pipeThrough(new CompressionStream('gzip'))).arrayBuffer())
}

export const TLS_REPORT_TYPE: string = MEDIA_TYPE

/**
 * Makes the mail with the report: ASCII, with CRLF at its line ends. The caller signs it and adds it to the queue.
 * @throws TypeError if a domain or an address is not ASCII, or has what does not belong there
 */
export async function tlsReportMail(options: TlsReportMailOptions): Promise<Uint8Array> {
  const { report, domain, submitter, from, to, now } = options
  const isSafe = [domain, submitter, from, ...to].every((text) => HEADER_TEXT.test(text))
  if (!isSafe || to.length === 0) throw new TypeError('the mail of a report needs domains and addresses in ASCII')
  const id = report['report-id']
  const boundary = `=_${id}`
  const range = report['date-range']
  const seconds = (time: string): number => Math.floor(Date.parse(time) / 1000)
  const start = seconds(range['start-datetime'])
  const name = `${submitter}!${domain}!${start}!${seconds(range['end-datetime'])}!${id}.json.gz`
  const lines = [
    `From: <${from}>`,
    `To: ${to.map((address) => `<${address}>`).join(',\r\n ')}`,
    `Date: ${new Date(now).toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${id}@${submitter}>`,
    `Subject: Report Domain: ${domain}\r\n Submitter: ${submitter}\r\n Report-ID: <${id}@${submitter}>`,
    `TLS-Report-Domain: ${domain}`,
    `TLS-Report-Submitter: ${submitter}`,
    'Auto-Submitted: auto-generated',
    // The servers on the way deliver it too, whatever is wrong with TLS (RFC 8689 3).
    'TLS-Required: No',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=tlsrpt;\r\n boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=us-ascii',
    '',
    `This is a report about TLS on connections from ${submitter}`,
    `to the mail servers of ${domain}.`,
    `It begins at ${range['start-datetime']} and ends at ${range['end-datetime']}.`,
    '',
    `--${boundary}`,
    `Content-Type: ${MEDIA_TYPE}`,
    'Content-Transfer-Encoding: base64',
    `Content-Disposition: attachment;\r\n filename="${name}"`,
    '',
    ...base64Lines(await compressed(report)),
    `--${boundary}--`,
    '',
  ]
  return encoder.encode(lines.join('\r\n'))
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z')
}

/** RFC 2045 6.8: at most 76 characters a line. */
function base64Lines(bytes: Uint8Array): readonly string[] {
  const lines: string[] = []
  const LINE_BYTES = 57
  for (let at = 0; at < bytes.length; at += LINE_BYTES) {
    lines.push(btoa(String.fromCharCode(...bytes.subarray(at, at + LINE_BYTES))))
  }
  return lines
}
