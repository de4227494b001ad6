/** Reports on TLS of days that are over. The clock is the test's. */
import { gunzipSync } from 'node:zlib'
import { beforeEach, describe, expect, test } from 'vitest'
import { type Answer, FakeResolver } from '../../../dns/test/fake.ts'
import type { PolicyFacts } from '../../src/route/index.ts'
import {
  readKeptTlsReports,
  type TlsDispatch,
  TlsReporter,
  type TlsReporterOptions,
} from '../../src/tls-report/index.ts'

const HOUR = 3_600_000
const NOON = Date.UTC(2026, 10, 30, 12)
const MIDNIGHT = Date.UTC(2026, 11, 1)
const NO_POLICY: PolicyFacts = { type: 'no-policy-found', domain: 'far.test', strings: [], mxHosts: [] }
const FAILURE = {
  type: 'certificate-expired',
  host: 'mx.far.test',
  sendingAddress: '',
  receivingAddress: '192.0.2.1',
  detail: 'CERT_HAS_EXPIRED',
} as const

let now: number
let delivered: TlsDispatch[]
let told: string[]
let isRefused: (dispatch: TlsDispatch) => boolean
let zone: Record<string, Answer>
beforeEach(() => {
  now = NOON
  delivered = []
  told = []
  isRefused = () => false
  zone = { 'TXT _smtp._tls.far.test': wants('mailto:tls@far.test') }
})

function wants(rua: string): Answer {
  const text = `v=TLSRPTv1; rua=${rua}`
  return {
    status: 'found',
    records: [{ strings: [text], text }],
    name: '',
    ttlSeconds: 1,
    isAuthentic: false,
  } as Answer
}

function reporter(more: Partial<TlsReporterOptions> = {}): TlsReporter {
  return new TlsReporter({
    resolver: new FakeResolver(zone),
    organization: 'Own Ltd',
    contact: 'tls@own.test',
    submitter: 'own.test',
    from: 'tls@own.test',
    now: () => now,
    random: () => 0.5,
    makeId: (day, domain) => `${day}.${domain}`,
    deliver: async (dispatch) => {
      if (isRefused(dispatch)) throw new Error('not now')
      delivered.push(dispatch)
    },
    events: {
      sent: (domain, to) => told.push(`sent ${domain} ${to}`),
      failed: (domain, error, retryAt) =>
        told.push(`failed ${domain}: ${(error as Error).message}, ${retryAt === undefined ? 'never' : retryAt - now}`),
    },
    ...more,
  })
}

/** Lets the time go on, and sends what is due then. */
async function at(time: number, reports: TlsReporter): Promise<number> {
  now = time
  await reports.send()
  return delivered.splice(0).length
}

/** Writes what is kept, and reads it again. */
function restarted(reports: TlsReporter, more: Partial<TlsReporterOptions> = {}): TlsReporter {
  const kept = readKeptTlsReports(JSON.stringify(reports.kept()))
  expect(kept).toBeDefined()
  return reporter({ ...more, kept })
}

test('a day is reported once, at a random time up to four hours after its end in UTC', async () => {
  const reports = reporter()
  reports.count('far.test', NO_POLICY)
  expect(await at(MIDNIGHT - 1, reports)).toBe(0)
  expect(await at(MIDNIGHT, reports)).toBe(0)
  expect(await at(MIDNIGHT + 2 * HOUR - 1, reports)).toBe(0)
  expect(await at(MIDNIGHT + 2 * HOUR, reports)).toBe(1)
  expect(await at(MIDNIGHT + 30 * HOUR, reports)).toBe(0)
  expect(told).toEqual(['sent far.test mail'])
  expect(reports.kept()).toMatchObject({ counts: [], due: [] })
})

test('a report has the counts of its day, and not those after midnight', async () => {
  zone = { 'TXT _smtp._tls.far.test': wants('https://collect.far.test/v1') }
  const reports = reporter()
  reports.count('far.test', NO_POLICY)
  reports.count('far.test', NO_POLICY, FAILURE)
  now = MIDNIGHT + 1
  reports.count('far.test', NO_POLICY)
  now = MIDNIGHT + 3 * HOUR
  await reports.send()
  const [report] = delivered
  if (report?.kind !== 'https') throw new Error('there is no report')
  expect(report.url).toBe('https://collect.far.test/v1')
  expect(JSON.parse(gunzipSync(report.body).toString())).toEqual({
    'organization-name': 'Own Ltd',
    'date-range': { 'start-datetime': '2026-11-30T00:00:00Z', 'end-datetime': '2026-11-30T23:59:59Z' },
    'contact-info': 'tls@own.test',
    'report-id': '2026-11-30.far.test',
    policies: [
      {
        policy: { 'policy-type': 'no-policy-found', 'policy-domain': 'far.test' },
        summary: { 'total-successful-session-count': 1, 'total-failure-session-count': 1 },
        'failure-details': [
          {
            'result-type': 'certificate-expired',
            'receiving-mx-hostname': 'mx.far.test',
            'receiving-ip': '192.0.2.1',
            'failed-session-count': 1,
            'failure-reason-code': 'CERT_HAS_EXPIRED',
          },
        ],
      },
    ],
  })
  expect(reports.kept()).toMatchObject({ day: '2026-12-01', counts: [{ policies: [{ successes: 1, failures: 0 }] }] })
})

test('a domain that wants no report gets none, and its counts are dropped', async () => {
  const reports = reporter()
  reports.count('silent.test', NO_POLICY)
  expect(await at(MIDNIGHT + 4 * HOUR, reports)).toBe(0)
  expect(reports.kept().due).toEqual([])
  expect(told).toEqual([])
})

test('a report that cannot be delivered is tried again for a day, later each time, and then dropped', async () => {
  isRefused = () => true
  const reports = reporter({ random: () => 0 })
  reports.count('far.test', NO_POLICY)
  const ends = MIDNIGHT + 28 * HOUR
  for (let time = MIDNIGHT; time <= ends + HOUR; time += 60_000) await at(time, reports)
  const waits = told.map((line) => line.split(', ')[1])
  expect(waits.slice(0, 7).map(Number)).toEqual([5, 10, 20, 40, 80, 160, 240].map((minutes) => minutes * 60_000))
  expect(waits.at(-1)).toBe('never')
  expect(waits.length).toBeLessThan(20)
  expect(reports.kept().due).toEqual([])
})

test('a report that reaches one of two places goes later to the other one alone', async () => {
  zone = { 'TXT _smtp._tls.far.test': wants('mailto:tls@far.test,https://collect.far.test/v1') }
  isRefused = ({ kind }) => kind === 'https'
  const reports = reporter({ random: () => 0 })
  reports.count('far.test', NO_POLICY)
  await at(MIDNIGHT, reports)
  isRefused = () => false
  const later = restarted(reports)
  now = MIDNIGHT + HOUR
  await later.send()
  expect(delivered.map(({ kind }) => kind)).toEqual(['https'])
  expect(told).toEqual([
    'sent far.test mail',
    'failed far.test: not now, 300000',
    'sent far.test https://collect.far.test/v1',
  ])
})

test('a domain whose record cannot be looked up is asked again later', async () => {
  const lost: Answer = { status: 'failed', reason: 'timeout', detail: 'no answer in time' }
  zone = { 'TXT _smtp._tls.far.test': lost }
  const reports = reporter({ random: () => 0 })
  reports.count('far.test', NO_POLICY)
  expect(await at(MIDNIGHT, reports)).toBe(0)
  zone = { 'TXT _smtp._tls.far.test': wants('mailto:tls@far.test') }
  expect(await at(MIDNIGHT + HOUR, restarted(reports))).toBe(1)
})

test('a report that cannot be made is dropped, and the others are sent', async () => {
  zone['TXT _smtp._tls.bad.test'] = wants('mailto:tls@bad.test')
  const makeId = (day: string, domain: string): string => (domain === 'bad.test' ? '' : `${day}.${domain}`)
  const reports = reporter({ makeId })
  reports.count('bad.test', NO_POLICY)
  reports.count('far.test', NO_POLICY)
  expect(await at(MIDNIGHT + 4 * HOUR, reports)).toBe(1)
  expect(told).toEqual([expect.stringMatching(/^failed bad\.test: .*, never$/), 'sent far.test mail'])
  expect(reports.kept().due).toEqual([])
})

describe('a later process', () => {
  test('goes on to count the same day', async () => {
    const first = reporter()
    first.count('far.test', NO_POLICY)
    const second = restarted(first)
    second.count('far.test', NO_POLICY, FAILURE)
    expect(second.kept().counts).toMatchObject([{ policies: [{ successes: 1, failures: 1, details: [{ count: 1 }] }] }])
  })

  test('reports a day that ended while nothing ran', async () => {
    const first = reporter()
    first.count('far.test', NO_POLICY)
    now = MIDNIGHT + 50 * HOUR
    expect(await at(now, restarted(first))).toBe(1)
  })

  test('keeps the random time of a report', async () => {
    const first = reporter()
    first.count('far.test', NO_POLICY)
    await at(MIDNIGHT, first)
    const second = restarted(first, { random: () => 0 })
    expect(await at(MIDNIGHT + 2 * HOUR - 1, second)).toBe(0)
    expect(await at(MIDNIGHT + 2 * HOUR, second)).toBe(1)
  })
})

test('an end by the caller stops after the report in progress', async () => {
  zone['TXT _smtp._tls.two.test'] = wants('mailto:tls@two.test')
  const caller = new AbortController()
  const reports = reporter({
    deliver: async (dispatch) => {
      delivered.push(dispatch)
      caller.abort()
    },
  })
  reports.count('far.test', NO_POLICY)
  reports.count('two.test', NO_POLICY)
  now = MIDNIGHT + 4 * HOUR
  await reports.send(caller.signal)
  expect(delivered).toHaveLength(1)
  expect(reports.kept().due).toMatchObject([{ counts: { domain: 'two.test' } }])
})

test('what is kept changes with each count, and has a bound', () => {
  const reports = reporter({ counter: { maxDomains: 2 } })
  const before = reports.changes
  for (const domain of ['a.test', 'b.test', 'c.test']) reports.count(domain, NO_POLICY)
  expect(reports.changes).not.toBe(before)
  expect(reports.kept().counts.map(({ domain }) => domain)).toEqual(['a.test', 'b.test'])
})

const GOOD = '{"version":1,"day":"2026-11-30","counts":[],"due":[]}'
test.each([
  '',
  'x',
  'null',
  '[]',
  GOOD.replace('1', '2'),
  GOOD.replace('2026-11-30', '2026-13-30'),
  GOOD.replace('2026-11-30', 'today'),
  GOOD.replace('"counts":[]', '"counts":[{"domain":"a.test","policies":[{}]}]'),
  GOOD.replace('"due":[]', '"due":[{"day":"2026-11-29"}]'),
  GOOD.replace('"due":[]', '"due":{}'),
])('%j is not what a reporter keeps', (text) => {
  expect(readKeptTlsReports(GOOD)).toBeDefined()
  expect(readKeptTlsReports(text)).toBeUndefined()
})
