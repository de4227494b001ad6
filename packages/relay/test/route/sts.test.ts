/** MTA-STS: policies, the cache of them, and what they do to a route. */
import type { TxtRecord } from '@postern/dns'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  createStsPolicies,
  type PolicyAnswer,
  readKeptPolicies,
  type Route,
  route,
  type RouteOptions,
  type StsOptions,
  type StsPolicies,
} from '../../src/route/index.ts'
import { isAllowed, parsePolicy, recordId } from '../../src/route/sts/policy.ts'
import { FakeResolver, type Answer } from '../../../dns/test/fake.ts'
import { startZone, type Zone, type ZoneServer } from './zone.ts'

const POLICY = 'version: STSv1\r\nmode: enforce\r\nmx: mx.a.test\r\nmx: *.b.test\r\nmax_age: 86400\r\n'
const DAY_MS = 86_400_000

describe('the record of a domain', () => {
  test.each<[readonly string[], string | undefined]>([
    [['v=STSv1; id=20160831085700Z;'], '20160831085700Z'],
    [['v=STSv1;id=1'], '1'],
    [['v=spf1 -all', 'v=STSv1 ; id=abc ; x=y'], 'abc'],
    [['v=STSv1; id=1', 'v=STSv1; id=2'], undefined],
    [['v=STSv2; id=1'], undefined],
    [['id=1; v=STSv1'], undefined],
    [['v=STSv1'], undefined],
    [['v=STSv1; id='], undefined],
    [['v=STSv1; id=not-alphanumeric'], undefined],
    [[`v=STSv1; id=${'1'.repeat(33)}`], undefined],
    [['v=STSv1x; id=1'], undefined],
    [[], undefined],
  ])('%j has the id %j', (texts, id) => {
    expect(recordId(texts)).toBe(id)
  })
})

describe('a policy', () => {
  test('is read, with its first values and all its mx', () => {
    const text = `${POLICY}mode: none\r\nunknown: x:y\r\n\r\n`
    expect(parsePolicy(text)).toEqual({ mode: 'enforce', maxAgeSeconds: 86_400, mx: ['mx.a.test', '*.b.test'] })
    expect(parsePolicy(POLICY.replaceAll('\r\n', '\n'))).toEqual(parsePolicy(POLICY))
  })

  test('counts for a year at most', () => {
    expect(parsePolicy(POLICY.replace('86400', '9999999999'))).toMatchObject({ maxAgeSeconds: 31_557_600 })
  })

  test('of mode none needs no mx', () => {
    expect(parsePolicy('version: STSv1\nmode: none\nmax_age: 0')).toEqual({ mode: 'none', maxAgeSeconds: 0, mx: [] })
  })

  test.each([
    ['', 'its version is not STSv1'],
    [POLICY.replace('STSv1', 'STSv2'), 'its version is not STSv1'],
    [POLICY.replace('enforce', 'maybe'), 'its mode is not enforce, testing or none'],
    [POLICY.replace('86400', 'long'), 'its max_age is not a number'],
    [POLICY.replace('86400', '99999999999'), 'its max_age is not a number'],
    [POLICY.replaceAll(/mx:.*\r\n/g, ''), 'it has no mx'],
    [POLICY.replace('mx.a.test', 'mx.*.test'), 'an mx is not a host name'],
    [POLICY.replace('mx.a.test', '*'), 'an mx is not a host name'],
    ['<html>', 'a line has no colon'],
    [`${POLICY}${'mx: x.test\n'.repeat(500)}`, 'it has more than 500 mx'],
  ])('is refused for one reason: %j', (text, problem) => {
    expect(parsePolicy(text)).toBe(problem)
  })

  test.each([
    ['mx.a.test', true],
    ['x.b.test', true],
    ['b.test', false],
    ['x.y.b.test', false],
    ['mx.a.test.evil.test', false],
    ['xmx.a.test', false],
  ])('lists the host %s: %j', (host, expected) => {
    expect(isAllowed(parsePolicy(POLICY) as never, host)).toBe(expected)
  })
})

describe('the cache', () => {
  let answers: Record<string, Answer>
  let fetched: string[]
  let answer: PolicyAnswer | Promise<PolicyAnswer>
  let now: number

  function announce(id: string | undefined, domain = 'a.test'): void {
    const text = `v=STSv1; id=${id};`
    const records: readonly TxtRecord[] = [{ strings: [text], text }]
    const name = `TXT _mta-sts.${domain}`
    if (id === undefined) delete answers[name]
    else answers[name] = { status: 'found', records, name: '', ttlSeconds: 1, isAuthentic: false } as Answer
  }

  function policies(options: Partial<StsOptions> = {}): StsPolicies {
    return createStsPolicies({
      resolver: new FakeResolver(answers),
      fetch: async (domain) => {
        fetched.push(domain)
        return answer
      },
      now: () => now,
      ...options,
    })
  }

  beforeEach(() => {
    answers = {}
    fetched = []
    now = Date.UTC(2026, 11, 1)
    answer = { status: 'fetched', text: POLICY }
    announce('1')
  })

  test('fetches a policy once while its id and its age allow', async () => {
    const cache = policies()
    for (let i = 0; i < 3; i++)
      expect(await cache.lookUp('a.test')).toMatchObject({ policy: { mode: 'enforce' }, failure: undefined })
    expect(fetched).toEqual(['a.test'])
  })

  test('fetches once for all who ask at the same time', async () => {
    const cache = policies()
    await Promise.all([cache.lookUp('a.test'), cache.lookUp('a.test'), cache.lookUp('a.test')])
    expect(fetched).toEqual(['a.test'])
  })

  test('fetches nothing for a domain without a record', async () => {
    expect(await policies().lookUp('b.test')).toEqual({ policy: undefined, failure: undefined })
    expect(fetched).toEqual([])
  })

  test('fetches again if the id is another', async () => {
    const cache = policies()
    await cache.lookUp('a.test')
    announce('2')
    answer = { status: 'fetched', text: POLICY.replace('enforce', 'testing') }
    expect(await cache.lookUp('a.test')).toMatchObject({ policy: { mode: 'testing' } })
    expect(fetched).toHaveLength(2)
  })

  test('fetches again once a day, so that a policy in use never expires', async () => {
    const cache = policies()
    answer = { status: 'fetched', text: POLICY.replace('86400', '604800') }
    await cache.lookUp('a.test')
    now += DAY_MS - 1
    await cache.lookUp('a.test')
    expect(fetched).toHaveLength(1)
    now += 1
    await cache.lookUp('a.test')
    expect(fetched).toHaveLength(2)
  })

  test.each<[string, () => void]>([
    ['the record is gone', () => announce(undefined)],
    [
      'nobody knows the record',
      () =>
        void (answers['TXT _mta-sts.a.test'] = { status: 'failed', reason: 'timeout', detail: 'no answer in time' }),
    ],
    [
      'a fetch of a newer one fails',
      () => {
        announce('2')
        answer = { status: 'failed', reason: 'sts-policy-fetch-error', detail: 'the server answers 500' }
      },
    ],
    [
      'a newer one is wrong',
      () => {
        announce('2')
        answer = { status: 'fetched', text: '' }
      },
    ],
  ])('keeps a policy until its age is over if %s', async (_, change) => {
    const cache = policies()
    await cache.lookUp('a.test')
    change()
    expect((await cache.lookUp('a.test')).policy).toMatchObject({ mode: 'enforce' })
    now += DAY_MS
    expect((await cache.lookUp('a.test')).policy).toBeUndefined()
  })

  test('does not fetch again for five minutes after a failure, and says what failed', async () => {
    const cache = policies()
    answer = { status: 'failed', reason: 'sts-webpki-invalid', detail: 'the certificate is refused' }
    const failure = {
      type: 'sts-webpki-invalid',
      policy: { type: 'sts', domain: 'a.test', strings: [], mxHosts: [] },
      detail: 'the certificate is refused',
    }
    expect(await cache.lookUp('a.test')).toEqual({ policy: undefined, failure })
    now += 299_999
    expect(await cache.lookUp('a.test')).toEqual({ policy: undefined, failure })
    expect(fetched).toHaveLength(1)
    now += 1
    answer = { status: 'fetched', text: POLICY }
    expect(await cache.lookUp('a.test')).toMatchObject({ policy: { mode: 'enforce' }, failure: undefined })
  })

  test('says why a policy is wrong', async () => {
    answer = { status: 'fetched', text: 'version: STSv1' }
    expect((await policies().lookUp('a.test')).failure).toMatchObject({
      type: 'sts-policy-invalid',
      detail: 'its mode is not enforce, testing or none',
    })
  })

  test('does not wait longer than its time for a fetch that never ends', async () => {
    answer = new Promise<PolicyAnswer>(() => {})
    expect((await policies({ timeoutMs: 10 }).lookUp('a.test')).failure).toMatchObject({
      type: 'sts-policy-fetch-error',
      detail: 'the policy host did not answer in time',
    })
  })

  test('drops the policy that was used longest ago if there are too many', async () => {
    const cache = policies({ maxPolicies: 2 })
    for (const domain of ['a.test', 'b.test', 'c.test']) announce('1', domain)
    for (const domain of ['a.test', 'b.test', 'a.test', 'c.test', 'a.test', 'b.test']) await cache.lookUp(domain)
    expect(fetched).toEqual(['a.test', 'b.test', 'c.test', 'b.test'])
  })

  test('drops policies if they take too much memory', async () => {
    const cache = policies({ maxBytes: 3_000 })
    const mx = Array.from({ length: 20 }, (_, at) => `mx: mx${at}.test\n`).join('')
    answer = { status: 'fetched', text: `version: STSv1\nmode: enforce\n${mx}max_age: 86400` }
    for (const domain of ['a.test', 'b.test', 'c.test', 'c.test', 'a.test']) {
      announce('1', domain)
      await cache.lookUp(domain)
    }
    expect(fetched).toEqual(['a.test', 'b.test', 'c.test', 'a.test'])
  })

  test('goes on after a restart with what an earlier process has kept', async () => {
    const before = policies()
    await before.lookUp('a.test')
    const kept = readKeptPolicies(JSON.stringify(before.kept()))
    announce(undefined)
    expect((await policies({ kept }).lookUp('a.test')).policy).toMatchObject({
      mode: 'enforce',
      mx: ['mx.a.test', '*.b.test'],
    })
    now += DAY_MS
    expect(policies({ kept }).kept()).toEqual([])
  })

  test('tells that something has changed if a policy is new, and not if it is used again', async () => {
    const cache = policies()
    const before = cache.changes
    await cache.lookUp('a.test')
    const after = cache.changes
    expect(after).not.toBe(before)
    await cache.lookUp('a.test')
    expect(cache.changes).toBe(after)
  })
})

const KEPT =
  '[{"domain":"a.test","id":"1","fetchedAt":1,"policy":{"mode":"enforce","maxAgeSeconds":1,"mx":["mx.a.test"]}}]'
test.each([
  '',
  '{}',
  '[1]',
  KEPT.replace('"a.test"', '1'),
  KEPT.replace('"id":"1",', ''),
  KEPT.replace(':1,"policy"', ':"1","policy"'),
  KEPT.replace('enforce', 'always'),
  KEPT.replace('maxAgeSeconds":1', 'maxAgeSeconds":99999999999'),
  KEPT.replace('["mx.a.test"]', '[1]'),
])('%j is not what was kept', (text) => {
  expect(readKeptPolicies(KEPT)).toHaveLength(1)
  expect(readKeptPolicies(text)).toBeUndefined()
})

describe('a route to a domain with a policy', () => {
  let server: ZoneServer
  const zone: Zone = {
    'a.test': {
      MX: [
        [1, 'evil.test'],
        [2, 'mx.a.test'],
        [3, 'x.b.test'],
      ],
    },
    'evil.test': { A: ['192.0.2.66'] },
    'mx.a.test': { A: ['192.0.2.1'] },
    'x.b.test': { A: ['192.0.2.2'] },
    '_mta-sts.a.test': { TXT: ['v=STSv1; id=1;'] },
  }

  beforeAll(async () => void (server = await startZone(zone)))
  beforeEach(() => void (server.zone = zone))
  afterAll(() => server[Symbol.asyncDispose]())

  function routed(policy: string | PolicyAnswer, options: Partial<RouteOptions> = {}): Promise<Route> {
    const { resolver } = server
    const answer: PolicyAnswer = typeof policy === 'string' ? { status: 'fetched', text: policy } : policy
    const sts = createStsPolicies({ resolver, fetch: () => Promise.resolve(answer) })
    return route('a.test', { resolver, ownNames: [], random: () => 0, sts, ...options })
  }

  const facts = {
    type: 'sts',
    domain: 'a.test',
    strings: ['version: STSv1', 'mode: enforce', 'mx: mx.a.test', 'mx: *.b.test', 'max_age: 86400'],
    mxHosts: ['mx.a.test', '*.b.test'],
  }

  test('leaves out hosts that the policy does not list, and asks for a good certificate of the others', async () => {
    const tls = { startTls: 'required', verify: 'authorities', isEnforced: true, policy: facts }
    expect(await routed(POLICY)).toMatchObject({
      status: 'found',
      hosts: [
        { name: 'mx.a.test', tls: { ...tls, serverName: 'mx.a.test', names: ['mx.a.test'] } },
        { name: 'x.b.test', tls: { ...tls, serverName: 'x.b.test', names: ['x.b.test'] } },
      ],
      policyFailures: [{ type: 'validation-failure', host: 'evil.test', policy: facts }],
    })
  })

  test('keeps all hosts in the mode testing, and tells what would have failed', async () => {
    const found = await routed(POLICY.replace('enforce', 'testing'))
    expect(found).toMatchObject({
      status: 'found',
      hosts: ['evil.test', 'mx.a.test', 'x.b.test'].map((name) => ({
        name,
        tls: { startTls: 'if-offered', verify: 'authorities', isEnforced: false },
      })),
      policyFailures: [],
    })
    const problems = found.status === 'found' ? found.hosts.map(({ tls }) => tls.problem?.type) : []
    expect(problems).toEqual(['validation-failure', undefined, undefined])
  })

  test('is as any other in the mode none', async () => {
    const found = await routed(POLICY.replace('enforce', 'none'))
    expect(found).toMatchObject({
      hosts: [{ name: 'evil.test', tls: { verify: 'nothing', policy: { type: 'no-policy-found' } } }, {}, {}],
      policyFailures: [],
    })
  })

  test('is missing for now if the policy lists none of the hosts', async () => {
    expect(await routed(POLICY.replaceAll(/mx: .*/g, 'mx: other.test'))).toMatchObject({
      status: 'failed',
      isTemporary: true,
      enhancedCode: '4.7.0',
      policyFailures: [{ host: 'evil.test' }, { host: 'mx.a.test' }, { host: 'x.b.test' }],
    })
  })

  test('is as any other if the policy cannot be fetched, and tells that', async () => {
    expect(
      await routed({ status: 'failed', reason: 'sts-policy-fetch-error', detail: 'the server answers 404' }),
    ).toMatchObject({
      status: 'found',
      hosts: [{ tls: { verify: 'nothing' } }, {}, {}],
      policyFailures: [{ type: 'sts-policy-fetch-error', host: '', detail: 'the server answers 404' }],
    })
  })

  test('with REQUIRETLS needs the policy', async () => {
    const options = { requireTls: true }
    expect(await routed(POLICY.replace('enforce', 'testing'), options)).toMatchObject({
      hosts: [
        { name: 'mx.a.test', tls: { startTls: 'required', verify: 'authorities', isEnforced: true } },
        { name: 'x.b.test' },
      ],
    })
    expect(await routed(POLICY.replace('enforce', 'none'), options)).toMatchObject({
      status: 'failed',
      isTemporary: false,
      enhancedCode: '5.7.30',
    })
  })
})
