/** Counts TLS of connections to MX hosts, and sends the reports of `--tls-report-from`. What is counted is in a file beside the queue. */
import { createHash, randomBytes } from 'node:crypto'
import type { Resolver } from '@postern/dns'
import type { NewMail } from '@postern/relay'
import type { TlsCounts, TlsDispatch, TlsReporter } from '@postern/relay/tls-report'
import type { Logger } from '@logtape/logtape'
import type { Settings } from '../../config/settings.ts'
import { errorText } from '../../host/failure.ts'
import { KeptFile, readKept } from './kept-file.ts'
import { tlsReportsPath } from './paths.ts'

export interface TlsReportsDeps {
  readonly settings: Settings
  readonly resolver: Resolver
  /** PEM of authorities that are trusted in place of those of the runtime. */
  readonly ca: readonly string[]
  readonly log: Logger
}

export interface TlsReports {
  readonly counts: TlsCounts
  /** Begins to send. @param submit Puts a report into the queue */
  start(submit: Submit): void
  /** Stops to send, and writes the file. Never rejects. */
  close(): Promise<void>
}

type Submit = (mail: NewMail) => Promise<void>

const ROUND_MS = 60_000
/** About the memory for the counts of a day. */
const MAX_COUNTER_BYTES = 4 * 1024 * 1024
const WHAT = 'the counts for reports on TLS'

/** Returns undefined if no reports are to be sent. The directory of the queue must exist. */
export async function openTlsReports({ settings, resolver, ca, log }: TlsReportsDeps): Promise<TlsReports | undefined> {
  const { tlsReportFrom: from, hostname, queue, dkim } = settings.options
  if (from === undefined) return undefined
  const { readKeptTlsReports, TlsReporter, TLS_REPORT_TYPE } = await import('@postern/relay/tls-report')
  const { httpsPost } = await import('@postern/relay/route/https')
  if (dkim === undefined)
    log.warn('reports on TLS are sent without a signature; receivers have to ignore such mail', { from })
  const path = tlsReportsPath(queue.url)
  const stopping = new AbortController()
  const post = httpsPost({ resolver, ...(ca.length > 0 && { authorities: ca }) })
  let submit: Submit = () => Promise.reject(new Error('the relay has not begun'))
  const reporter = new TlsReporter({
    resolver,
    organization: hostname,
    contact: from,
    submitter: from.slice(from.lastIndexOf('@') + 1),
    from,
    now: () => Date.now(),
    random: () => Math.random(),
    makeId: (day, domain) =>
      `${day}.${createHash('sha256').update(`${hostname} ${domain}`).digest('hex').slice(0, 24)}`,
    deliver: (dispatch) =>
      dispatch.kind === 'mail'
        ? submit(mailOf(dispatch, from))
        : post(dispatch.url, TLS_REPORT_TYPE, dispatch.body, stopping.signal),
    counter: { maxBytes: MAX_COUNTER_BYTES },
    kept: await readKept(path, WHAT, readKeptTlsReports, log),
    events: {
      sent: (domain, to) => log.info('report on TLS sent', { domain, to }),
      failed: (domain, error, retryAt) =>
        log[retryAt === undefined ? 'warn' : 'info']('report on TLS not sent', {
          domain,
          reason: errorText(error),
          ...(retryAt !== undefined && { retryAt: new Date(retryAt).toISOString() }),
        }),
    },
  })
  return rounds(reporter, new KeptFile(path, WHAT, reporter, log), stopping, (given) => {
    submit = given
  })
}

/** Sends and saves every minute. Rounds do not overlap. */
function rounds(
  reporter: TlsReporter,
  file: KeptFile,
  stopping: AbortController,
  begin: (submit: Submit) => void,
): TlsReports {
  let round: Promise<void> | undefined
  let timer: ReturnType<typeof setInterval> | undefined
  const next = (): void => {
    round ??= reporter
      .send(stopping.signal)
      .then(() => file.save())
      .finally(() => {
        round = undefined
      })
  }
  return {
    counts: reporter,
    start(submit) {
      begin(submit)
      next()
      timer = setInterval(next, ROUND_MS)
      timer.unref()
    },
    async close() {
      clearInterval(timer)
      stopping.abort()
      await round
      await file.save()
    },
  }
}

/** RFC 8460 3: the mail is delivered whatever is wrong with TLS. Nobody is told if it fails, so no report leads to another one. */
function mailOf({ to, message }: Extract<TlsDispatch, { readonly kind: 'mail' }>, from: string): NewMail {
  return {
    id: randomBytes(20).toString('hex'),
    envelope: { reversePath: from, body: '7BIT', smtpUtf8: false, isTlsReport: true },
    recipients: to.map((address) => ({ address, notify: ['NEVER'] })),
    pieces: [message],
  }
}
