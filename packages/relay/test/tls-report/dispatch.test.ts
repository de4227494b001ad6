import { gunzipSync } from 'node:zlib'
import PostalMime from 'postal-mime'
import { expect, test } from 'vitest'
import { type Answer, FakeResolver } from '../../../dns/test/fake.ts'
import type { TlsRequirement } from '../../src/route/index.ts'
import {
  type DomainCounts,
  problemOfConnection,
  problemOfError,
  type TlsDispatch,
  tlsDispatches,
  type TlsDispatchOptions,
} from '../../src/tls-report/index.ts'

function wanted(text: string): Answer {
  return {
    status: 'found',
    records: [{ strings: [text], text }],
    name: '',
    ttlSeconds: 1,
    isAuthentic: false,
  } as Answer
}

function countsOf(domain: string): DomainCounts {
  const policy = { type: 'no-policy-found', domain, strings: [], mxHosts: [] } as const
  return { domain, policies: [{ policy, successes: 3, failures: 0, details: [] }] }
}

function dispatched(domain: string, more: Partial<TlsDispatchOptions> = {}): ReturnType<typeof tlsDispatches> {
  const resolver = new FakeResolver({
    'TXT _smtp._tls.mail.test': wanted('v=TLSRPTv1; rua=mailto:tls@mail.test'),
    'TXT _smtp._tls.both.test': wanted(
      'v=TLSRPTv1; rua=https://both.test/v1,mailto:one@both.test,mailto:two@both.test',
    ),
    'TXT _smtp._tls.lost.test': { status: 'failed', reason: 'timeout', detail: 'no answer in time' },
  })
  return tlsDispatches(countsOf(domain), {
    resolver,
    organization: 'Own Ltd',
    contact: 'tls@own.test',
    submitter: 'own.test',
    from: 'tls@own.test',
    startsAt: Date.UTC(2026, 10, 30),
    endsAt: Date.UTC(2026, 11, 1) - 1_000,
    now: Date.UTC(2026, 11, 1, 1),
    id: `2026-11-30.${domain}`,
    ...more,
  })
}

async function listOf(domain: string): Promise<readonly TlsDispatch[]> {
  const made = await dispatched(domain)
  if (made === 'unknown') throw new Error('DNS can tell')
  return made
}

test('a domain that wants reports gets one by each way that it names', async () => {
  const [first, ...others] = await listOf('mail.test')
  expect(first).toMatchObject({ kind: 'mail', domain: 'mail.test', to: ['tls@mail.test'] })
  expect(others).toEqual([])
  const [second, third, ...more] = await listOf('both.test')
  expect(second).toMatchObject({ kind: 'mail', domain: 'both.test', to: ['one@both.test', 'two@both.test'] })
  expect(third).toMatchObject({ kind: 'https', domain: 'both.test', url: 'https://both.test/v1' })
  expect(more).toEqual([])
  if (second?.kind !== 'mail' || third?.kind !== 'https') throw new Error('other kinds')
  const posted: unknown = JSON.parse(gunzipSync(third.body).toString())
  expect(posted).toMatchObject({
    'report-id': '2026-11-30.both.test',
    policies: [{ summary: { 'total-successful-session-count': 3 } }],
  })
  const { attachments } = await PostalMime.parse(second.message)
  expect(JSON.parse(gunzipSync(Buffer.from(attachments[0]?.content as ArrayBuffer)).toString())).toEqual(posted)
})

test('a domain that wants no report gets none, and nobody knows of a domain whose record cannot be looked up', async () => {
  expect(await dispatched('none.test')).toEqual([])
  expect(await dispatched('lost.test')).toBe('unknown')
})

test('a report whose id is wrong cannot be made', async () => {
  await expect(dispatched('mail.test', { id: '' })).rejects.toThrow(TypeError)
})

test.each([
  ['connect', { code: 'ECONNREFUSED' }, undefined],
  ['mail', undefined, undefined],
  ['starttls', undefined, 'starttls-not-supported'],
  ['starttls', { code: 'certificate-host-mismatch' }, 'certificate-host-mismatch'],
  ['starttls', { code: 'validation-failure' }, 'validation-failure'],
  ['starttls', { code: 'CERT_HAS_EXPIRED' }, 'certificate-expired'],
  ['starttls', { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'certificate-host-mismatch'],
  ['starttls', { code: 'SELF_SIGNED_CERT_IN_CHAIN' }, 'certificate-not-trusted'],
  ['starttls', { code: 'EPROTO' }, 'validation-failure'],
  ['starttls', null, 'validation-failure'],
])('an error at the stage %s with the cause %j is counted as %j', (stage, cause, type) => {
  expect(problemOfError({ stage, reason: 'tls', cause })?.type).toBe(type)
})

test('silence at STARTTLS is counted, and an end by the caller is not', () => {
  expect(problemOfError({ stage: 'starttls', reason: 'timeout' })).toEqual({
    type: 'validation-failure',
    detail: 'timeout',
  })
  expect(problemOfError({ stage: 'starttls', reason: 'aborted' })).toBeUndefined()
})

const REQUIREMENT: TlsRequirement = {
  startTls: 'if-offered',
  verify: 'authorities',
  isEnforced: false,
  serverName: 'mx.test',
  names: ['mx.test'],
  tlsa: [],
  policy: { type: 'sts', domain: 'a.test', strings: [], mxHosts: [] },
}

test.each([
  [undefined, 'authorities', 'starttls-not-supported'],
  [undefined, 'nothing', 'starttls-not-supported'],
  [{}, 'nothing', undefined],
  [{}, 'authorities', 'certificate-not-trusted'],
  [{ peerCertificate: { verified: false } }, 'authorities', 'certificate-not-trusted'],
  [{ peerCertificate: { verified: true } }, 'authorities', undefined],
  [{ peerCertificate: { verified: false } }, 'dane', undefined],
] as const)('a connection with %j that should be checked by %s is counted as %j', (tls, verify, type) => {
  expect(problemOfConnection({ tls }, { ...REQUIREMENT, verify })?.type).toBe(type)
})
