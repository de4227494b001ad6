import { gunzipSync } from 'node:zlib'
import PostalMime from 'postal-mime'
import { describe, expect, test } from 'vitest'
import type { PolicyFacts } from '../../src/route/index.ts'
import {
  compressed,
  type DomainCounts,
  reportTargets,
  TlsCounter,
  type TlsFailure,
  tlsReport,
  tlsReportMail,
} from '../../src/tls-report/index.ts'

const STS: PolicyFacts = {
  type: 'sts',
  domain: 'a.test',
  strings: ['version: STSv1', 'mode: testing', 'mx: *.a.test', 'max_age: 86400'],
  mxHosts: ['*.a.test'],
}
const DANE: PolicyFacts = { type: 'tlsa', domain: 'mx.a.test', strings: ['3 1 1 aa'], mxHosts: ['mx.a.test'] }
const EXPIRED: TlsFailure = {
  type: 'certificate-expired',
  host: 'mx.a.test',
  sendingAddress: '192.0.2.9',
  receivingAddress: '192.0.2.1',
  detail: '',
}

describe('the counter', () => {
  test('counts successes and kinds of failures, by domain and policy', () => {
    const counter = new TlsCounter()
    counter.count('a.test', STS)
    counter.count('a.test', STS)
    counter.count('a.test', STS, EXPIRED)
    counter.count('a.test', STS, EXPIRED)
    counter.count('a.test', STS, { ...EXPIRED, type: 'starttls-not-supported' })
    counter.count('a.test', DANE)
    expect(counter.take()).toEqual([
      {
        domain: 'a.test',
        policies: [
          {
            policy: STS,
            successes: 2,
            failures: 3,
            details: [
              { ...EXPIRED, count: 2 },
              { ...EXPIRED, type: 'starttls-not-supported', count: 1 },
            ],
          },
          { policy: DANE, successes: 1, failures: 0, details: [] },
        ],
      },
    ])
    expect(counter.take()).toEqual([])
  })

  test('keeps a changed policy apart from the one before', () => {
    const counter = new TlsCounter()
    counter.count('a.test', STS)
    counter.count('a.test', { ...STS, strings: ['mode: enforce'] })
    expect(counter.take()[0]?.policies).toHaveLength(2)
  })

  test('is bounded in domains, policies and kinds of failures, and the sum is right', () => {
    const counter = new TlsCounter({ maxDomains: 2, maxDetails: 3 })
    for (let at = 0; at < 100; at++) {
      counter.count(`host${at}.test`, STS)
      counter.count('host0.test', STS, { ...EXPIRED, detail: `${at}` })
      counter.count('host1.test', { ...STS, strings: [`${at}`] })
    }
    const [first, second, ...others] = counter.take()
    expect(others).toEqual([])
    expect(first?.policies[0]).toMatchObject({ successes: 1, failures: 100 })
    expect(first?.policies[0]?.details).toHaveLength(3)
    expect(second?.policies).toHaveLength(50)
  })

  test('is bounded in memory, and begins anew after a report', () => {
    const counter = new TlsCounter({ maxBytes: 100_000 })
    const long = { ...STS, strings: ['x'.repeat(10_000)] }
    const counted = (): number => counter.take().length
    for (let round = 0; round < 2; round++) {
      for (let at = 0; at < 20; at++) counter.count(`host${at}.test`, long)
      expect(counted()).toBe(2)
    }
    for (let at = 0; at < 1_000; at++) counter.count('a.test', STS, { ...EXPIRED, detail: `${at}`.padEnd(1_000) })
    const [policy] = counter.take()[0]?.policies ?? []
    expect(policy?.failures).toBe(1_000)
    // Each takes two bytes for each of its thousand characters, and more.
    expect(policy?.details.length).toBeGreaterThan(30)
    expect(policy?.details.length).toBeLessThan(50)
  })

  test('goes on with what an earlier process has counted', () => {
    const before = new TlsCounter({ maxDetails: 1 })
    before.count('a.test', STS)
    for (const detail of ['one', 'one', 'two']) before.count('a.test', STS, { ...EXPIRED, detail })
    const counts = JSON.parse(JSON.stringify(before.take())) as readonly DomainCounts[]
    const counter = new TlsCounter()
    counter.count('a.test', STS, { ...EXPIRED, detail: 'one' })
    counter.add(counts)
    expect(counter.take()[0]?.policies).toEqual([
      { policy: STS, successes: 1, failures: 4, details: [{ ...EXPIRED, detail: 'one', count: 3 }] },
    ])
  })
})

const COUNTS: DomainCounts = {
  domain: 'a.test',
  policies: [
    { policy: STS, successes: 5, failures: 3, details: [{ ...EXPIRED, count: 3 }] },
    {
      policy: DANE,
      successes: 1,
      failures: 1,
      details: [
        { type: 'dnssec-invalid', host: '', sendingAddress: '', receivingAddress: '', detail: 'SERVFAIL', count: 1 },
      ],
    },
    {
      policy: { type: 'no-policy-found', domain: 'a.test', strings: [], mxHosts: [] },
      successes: 2,
      failures: 0,
      details: [],
    },
  ],
}
const REPORT = tlsReport({
  counts: COUNTS,
  organization: 'Own \u00e9 Ltd',
  contact: 'tls@own.test',
  id: '2026-11-30.a.test',
  startsAt: Date.UTC(2026, 10, 30),
  endsAt: Date.UTC(2026, 11, 1) - 1000,
})

describe('a report', () => {
  test('has the form of RFC 8460 4.4', () => {
    expect(REPORT).toEqual({
      'organization-name': 'Own \u00e9 Ltd',
      'date-range': { 'start-datetime': '2026-11-30T00:00:00Z', 'end-datetime': '2026-11-30T23:59:59Z' },
      'contact-info': 'tls@own.test',
      'report-id': '2026-11-30.a.test',
      policies: [
        {
          policy: {
            'policy-type': 'sts',
            'policy-string': STS.strings,
            'policy-domain': 'a.test',
            'mx-host': ['*.a.test'],
          },
          summary: { 'total-successful-session-count': 5, 'total-failure-session-count': 3 },
          'failure-details': [
            {
              'result-type': 'certificate-expired',
              'sending-mta-ip': '192.0.2.9',
              'receiving-mx-hostname': 'mx.a.test',
              'receiving-ip': '192.0.2.1',
              'failed-session-count': 3,
            },
          ],
        },
        {
          policy: {
            'policy-type': 'tlsa',
            'policy-string': ['3 1 1 aa'],
            'policy-domain': 'mx.a.test',
            'mx-host': ['mx.a.test'],
          },
          summary: { 'total-successful-session-count': 1, 'total-failure-session-count': 1 },
          'failure-details': [
            { 'result-type': 'dnssec-invalid', 'failed-session-count': 1, 'failure-reason-code': 'SERVFAIL' },
          ],
        },
        {
          policy: { 'policy-type': 'no-policy-found', 'policy-domain': 'a.test' },
          summary: { 'total-successful-session-count': 2, 'total-failure-session-count': 0 },
        },
      ],
    })
  })

  test('is compressed by gzip', async () => {
    expect(JSON.parse(gunzipSync(await compressed(REPORT)).toString())).toEqual(REPORT)
  })

  test('is an attachment of a mail', async () => {
    const mail = await tlsReportMail({
      report: REPORT,
      domain: 'a.test',
      submitter: 'own.test',
      from: 'tls@own.test',
      to: ['one@a.test', 'two@a.test'],
      now: Date.UTC(2026, 11, 1, 3),
    })
    const text = Buffer.from(mail).toString()
    expect(text.replaceAll('\r\n', '')).toMatch(/^[\x20-\x7e]*$/)
    const parsed = await PostalMime.parse(mail)
    const values = Object.fromEntries(parsed.headers.map(({ key, value }) => [key, value]))
    expect(values).toMatchObject({
      from: '<tls@own.test>',
      to: '<one@a.test>, <two@a.test>',
      subject: 'Report Domain: a.test Submitter: own.test Report-ID: <2026-11-30.a.test@own.test>',
      'tls-report-domain': 'a.test',
      'tls-report-submitter': 'own.test',
      'tls-required': 'No',
      'message-id': '<2026-11-30.a.test@own.test>',
      date: 'Tue, 01 Dec 2026 03:00:00 +0000',
    })
    expect(values['content-type']).toContain('multipart/report; report-type=tlsrpt')
    const [attachment] = parsed.attachments
    const [start, end] = [Date.UTC(2026, 10, 30) / 1000, Date.UTC(2026, 11, 1) / 1000 - 1]
    expect(attachment).toMatchObject({
      mimeType: 'application/tlsrpt+gzip',
      filename: `own.test!a.test!${start}!${end}!2026-11-30.a.test.json.gz`,
    })
    expect(JSON.parse(gunzipSync(Buffer.from(attachment?.content as ArrayBuffer)).toString())).toEqual(REPORT)
  })

  test.each(['', 'x', 'a b c d e f g h', 'id"\r\nX: yyyyyyyy', 'x'.repeat(65)])('refuses the id %j', (id) => {
    expect(() => tlsReport({ counts: COUNTS, organization: '', contact: '', id, startsAt: 0, endsAt: 0 })).toThrow(
      TypeError,
    )
  })

  test.each(['a\r\nBcc: x@y', 'b\u00fccher.test', 'a b', 'a"b', '<a>', ''])(
    'refuses to write to a domain or address %j',
    async (text) => {
      const mail = {
        report: REPORT,
        domain: 'a.test',
        submitter: 'own.test',
        from: 'tls@own.test',
        to: ['one@a.test'],
        now: 0,
      }
      await expect(tlsReportMail({ ...mail, domain: text })).rejects.toThrow(TypeError)
      await expect(tlsReportMail({ ...mail, to: [text] })).rejects.toThrow(TypeError)
    },
  )
})

describe('the record of a domain', () => {
  test.each([
    [['v=TLSRPTv1; rua=mailto:reports@a.test'], { mail: ['reports@a.test'], https: [] }],
    [
      ['v=TLSRPTv1;rua=https://a.test/v1?x=1,mailto:tls%2Brpt@a.test?subject=x'],
      { mail: ['tls+rpt@a.test'], https: ['https://a.test/v1?x=1'] },
    ],
    [['v=spf1 -all', 'v=TLSRPTv1; rua=MAILTO:reports@a.test'], { mail: ['reports@a.test'], https: [] }],
    [['v=TLSRPTv1; rua=mailto:a@a.test', 'v=TLSRPTv1; rua=mailto:b@a.test'], undefined],
    [['v=TLSRPTv1; rua=http://a.test/'], undefined],
    [['v=TLSRPTv1; rua=mailto:a%0D%0AX@a.test'], undefined],
    [['v=TLSRPTv1; rua=mailto:%zz@a.test'], undefined],
    [['v=TLSRPTv1; rua=https://'], undefined],
    [['v=TLSRPTv1'], undefined],
    [['v=TLSRPTv2; rua=mailto:a@a.test'], undefined],
    [[], undefined],
  ])('%j names the targets', (texts, expected) => {
    expect(reportTargets(texts)).toEqual(expected)
  })

  test('has ten targets at most', () => {
    const uris = Array.from({ length: 20 }, (_, at) => `mailto:user${at}@a.test`)
    expect(reportTargets([`v=TLSRPTv1; rua=${uris.join(',')}`])?.mail).toHaveLength(10)
  })
})
