/** Counts TLS of connections to MX hosts, and sends the reports of `--tls-report-from`. What is counted is in a file beside the queue. */
import { createHash, randomBytes } from 'node:crypto'
import { open, readFile, rename, stat } from 'node:fs/promises'
import type { Resolver } from '@postern/dns'
import type { NewMail } from '@postern/relay'
import type { KeptTlsReports, TlsCounts, TlsDispatch, TlsReporter } from '@postern/relay/tls-report'
import type { Logger } from '@logtape/logtape'
import type { Settings } from '../../config/settings.ts'
import { errorText } from '../../host/failure.ts'
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
/** More than the counts of a few days are. */
const MAX_FILE_BYTES = 64 * 1024 * 1024
const MODE = 0o600

/** Returns undefined if no reports are to be sent. The directory of the queue must exist. */
export async function openTlsReports({ settings, resolver, ca, log }: TlsReportsDeps): Promise<TlsReports | undefined> {
  const { tlsReportFrom: from, hostname, queue, dkim } = settings.options
  if (from === undefined) return undefined
  const { TlsReporter, TLS_REPORT_TYPE } = await import('@postern/relay/tls-report')
  const { httpsPost } = await import('@postern/relay/route/https')
  if (dkim === undefined)
    log.warn('reports on TLS are sent without a signature; receivers have to ignore such mail', { from })
  const path = tlsReportsPath(queue)
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
    kept: await readKept(path, log),
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
  return rounds(reporter, path, log, stopping, (given) => {
    submit = given
  })
}

/** Sends and saves every minute. Rounds do not overlap. */
function rounds(
  reporter: TlsReporter,
  path: string,
  log: Logger,
  stopping: AbortController,
  begin: (submit: Submit) => void,
): TlsReports {
  let saved = reporter.changes
  let round: Promise<void> | undefined
  let timer: ReturnType<typeof setInterval> | undefined
  const save = async (): Promise<void> => {
    const { changes } = reporter
    if (changes === saved) return
    try {
      await replaceFile(path, JSON.stringify(reporter.kept()))
      saved = changes
    } catch (error) {
      log.error('the counts for reports on TLS could not be saved', { reason: errorText(error) })
    }
  }
  const next = (): void => {
    round ??= reporter
      .send(stopping.signal)
      .then(save)
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
      await save()
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

/** A file that cannot be used costs the counts of a day, and no mail. So the server starts all the same. */
async function readKept(path: string, log: Logger): Promise<KeptTlsReports | undefined> {
  const { readKeptTlsReports } = await import('@postern/relay/tls-report')
  let reason = 'it is not the file of this version'
  try {
    if ((await stat(path)).size <= MAX_FILE_BYTES) {
      const kept = readKeptTlsReports(await readFile(path, 'utf8'))
      if (kept !== undefined) return kept
    }
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === 'ENOENT') return undefined
    reason = errorText(error)
  }
  log.warn('the counts for reports on TLS begin anew', { path, reason })
  return undefined
}

/** A crash leaves the old file or the new one. */
async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`
  const file = await open(temporary, 'w', MODE)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}
