import { addressRanges } from '@postern/engine'
import * as fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Route, route, type RouteOptions, type Smarthost } from '../../src/route/index.ts'
import { startZone, type Zone, type ZoneServer } from './zone.ts'

let server: ZoneServer

beforeAll(async () => void (server = await startZone({})))
beforeEach(() => void (server.zone = {}))
afterAll(() => server[Symbol.asyncDispose]())

function routed(domain: string, zone: Zone, options: Partial<RouteOptions> = {}): Promise<Route> {
  server.zone = zone
  return route(domain, { resolver: server.resolver, ownNames: ['mx.own.test'], random: () => 0, ...options })
}

/** Returns `name address address` of each host. */
async function hostsOf(domain: string, zone: Zone, options?: Partial<RouteOptions>): Promise<readonly string[]> {
  const found = await routed(domain, zone, options)
  expect(found).toMatchObject({ status: 'found' })
  return found.status === 'found' ? found.hosts.map(({ name, addresses }) => [name, ...addresses].join(' ')) : []
}

const ONE = { A: ['192.0.2.1'] }
const TWO = { A: ['192.0.2.2'] }
const THREE = { A: ['192.0.2.3'] }

describe('a domain', () => {
  test('is served by its exchangers, the lowest preference first', async () => {
    const zone = {
      'a.test': {
        MX: [
          [20, 'two.test'],
          [5, 'one.test'],
          [30, 'three.test'],
        ],
      },
      'one.test': ONE,
      'two.test': TWO,
      'three.test': THREE,
    } as const
    expect(await hostsOf('A.Test', zone)).toEqual(['one.test 192.0.2.1', 'two.test 192.0.2.2', 'three.test 192.0.2.3'])
  })

  test('is served by exchangers of the same preference in an order that chance decides', async () => {
    const zone = {
      'a.test': {
        MX: [
          [10, 'one.test'],
          [10, 'two.test'],
          [5, 'three.test'],
        ],
      },
      'one.test': ONE,
      'two.test': TWO,
      'three.test': THREE,
    } as const
    const orders = new Set<string>()
    for (const chances of [
      [0.1, 0.9, 0.5],
      [0.9, 0.1, 0.5],
    ]) {
      let at = 0
      const hosts = await hostsOf('a.test', zone, { random: () => chances[at++] ?? 0 })
      expect(hosts[0]).toBe('three.test 192.0.2.3')
      orders.add(hosts.join())
    }
    expect(orders.size).toBe(2)
  })

  test('is its own exchanger if it has no MX record', async () => {
    expect(await hostsOf('a.test', { 'a.test': ONE })).toEqual(['a.test 192.0.2.1'])
  })

  test('with an alias has the exchangers of the alias', async () => {
    const zone = { 'a.test': { CNAME: 'b.test' }, 'b.test': { MX: [[10, 'one.test']] }, 'one.test': ONE } as const
    expect(await hostsOf('a.test', zone)).toEqual(['one.test 192.0.2.1'])
  })

  test('may have an exchanger that is an alias', async () => {
    const zone = {
      'a.test': { MX: [[10, 'alias.test']] },
      'alias.test': { CNAME: 'one.test' },
      'one.test': ONE,
    } as const
    expect(await hostsOf('a.test', zone)).toEqual(['alias.test 192.0.2.1'])
  })

  test('may have U-labels', async () => {
    expect(await hostsOf('b\u00fccher.test', { 'xn--bcher-kva.test': ONE })).toEqual(['xn--bcher-kva.test 192.0.2.1'])
  })

  test.each([
    ['both', ['2001:db8::1', '192.0.2.1', '2001:db8::2', '192.0.2.2', '192.0.2.3']],
    ['ipv4', ['192.0.2.1', '192.0.2.2', '192.0.2.3']],
    ['ipv6', ['2001:db8::1', '2001:db8::2']],
  ] as const)('has addresses of the families in use (%s), which take turns', async (families, expected) => {
    const host = { A: ['192.0.2.1', '192.0.2.2', '192.0.2.3'], AAAA: ['2001:db8::1', '2001:db8::2'] }
    expect(await hostsOf('a.test', { 'a.test': host }, { families })).toEqual([`a.test ${expected.join(' ')}`])
  })

  test('has no more hosts and addresses than the bounds', async () => {
    const names = Array.from({ length: 30 }, (_, at) => `host${at}.test`)
    const zone = Object.fromEntries(
      names.map((name, at) => [name, { A: Array.from({ length: 20 }, (_, part) => `10.0.${at}.${part}`) }]),
    )
    const exchangers = names.map((name, at) => [at, name] as const)
    const before = server.asked.length
    const found = await routed('a.test', { ...zone, 'a.test': { MX: exchangers } })
    expect(found).toMatchObject({ status: 'found', isComplete: false })
    if (found.status !== 'found') return
    expect(found.hosts.map(({ name }) => name)).toEqual(names.slice(0, 10))
    expect(found.hosts.map(({ addresses }) => addresses.length)).toEqual(Array<number>(10).fill(8))
    // The MX records, and two questions for each host.
    expect(server.asked.length - before).toBe(21)
  })

  test('leaves out exchangers that have no address, or no name that can be one', async () => {
    const zone = {
      'a.test': {
        MX: [
          [1, 'gone.test'],
          [2, 'a b.test'],
          [3, '.'],
          [4, 'one.test'],
        ],
      },
      'one.test': ONE,
    } as const
    expect(await hostsOf('a.test', zone)).toEqual(['one.test 192.0.2.1'])
  })

  test('is served by the other exchangers if one cannot be looked up', async () => {
    const zone = {
      'a.test': {
        MX: [
          [1, 'bad.test'],
          [2, 'one.test'],
        ],
      },
      'bad.test': 'failed',
      'one.test': ONE,
    } as const
    expect(await hostsOf('a.test', zone)).toEqual(['one.test 192.0.2.1'])
  })

  test('has a host once if two records name it', async () => {
    const zone = {
      'a.test': {
        MX: [
          [20, 'one.test'],
          [10, 'ONE.test'],
          [15, 'two.test'],
        ],
      },
      'one.test': ONE,
      'two.test': TWO,
    } as const
    expect(await hostsOf('a.test', zone)).toEqual(['one.test 192.0.2.1', 'two.test 192.0.2.2'])
  })

  test('is asked for on the port that is set', async () => {
    expect(await routed('a.test', { 'a.test': ONE }, { port: 2525 })).toMatchObject({ hosts: [{ port: 2525 }] })
    expect(await routed('a.test', { 'a.test': ONE })).toMatchObject({ hosts: [{ port: 25 }] })
  })

  test('needs TLS only if a server offers it, and no certificate is checked', async () => {
    expect(await routed('a.test', { 'a.test': ONE })).toMatchObject({
      hosts: [
        {
          implicitTls: false,
          tls: {
            startTls: 'if-offered',
            verify: 'nothing',
            serverName: 'a.test',
            policy: { type: 'no-policy-found', domain: 'a.test' },
          },
        },
      ],
    })
  })
})

describe('no way leads to a domain', () => {
  test.each<[string, Zone, object]>([
    ['that does not exist', {}, { isTemporary: false, code: 550, enhancedCode: '5.1.2' }],
    [
      'with a null MX',
      { 'a.test': { MX: [[0, '.']], ...ONE } },
      { isTemporary: false, code: 556, enhancedCode: '5.1.10' },
    ],
    [
      'with neither MX records nor an address',
      { 'a.test': { TXT: ['x'] } },
      { isTemporary: false, code: 550, enhancedCode: '5.4.4' },
    ],
    [
      'whose exchangers have no address',
      { 'a.test': { MX: [[1, 'gone.test']], ...ONE } },
      { isTemporary: false, code: 550, enhancedCode: '5.4.4' },
    ],
    [
      'whose MX records cannot be looked up',
      { 'a.test': 'failed' },
      { isTemporary: true, code: 451, enhancedCode: '4.4.3' },
    ],
    [
      'whose exchangers cannot be looked up',
      {
        'a.test': {
          MX: [
            [1, 'bad.test'],
            [2, 'gone.test'],
          ],
        },
        'bad.test': 'failed',
      },
      { isTemporary: true, enhancedCode: '4.4.3' },
    ],
    [
      'whose best exchanger is this server',
      {
        'a.test': {
          MX: [
            [1, 'MX.own.test'],
            [2, 'one.test'],
          ],
        },
        'one.test': ONE,
      },
      { isTemporary: false, code: 554, enhancedCode: '5.4.6' },
    ],
    [
      'whose best exchanger has an address of this server',
      { 'a.test': { MX: [[1, 'trap.test']] }, 'trap.test': { A: ['127.0.0.1'] } },
      { code: 554, enhancedCode: '5.4.6' },
    ],
    [
      'whose exchangers lead to each other',
      { 'a.test': { CNAME: 'b.test' }, 'b.test': { CNAME: 'a.test' } },
      { isTemporary: true, enhancedCode: '4.4.3' },
    ],
  ])('%s', async (_, zone, expected) => {
    expect(await routed('a.test', zone)).toMatchObject({ status: 'failed', ...expected })
  })

  test.each(['', ' ', 'a..b', '[192.0.2.256]', '[x:y]', 'a b.test', 'x\r\ny', '['])('that is %j', async (domain) => {
    expect(await routed(domain, {})).toMatchObject({ status: 'failed', isTemporary: false, enhancedCode: '5.1.2' })
  })
})

describe('this server as an exchanger', () => {
  test('and all that are not wanted more are left out', async () => {
    const zone = {
      'a.test': {
        MX: [
          [5, 'one.test'],
          [10, 'mx.own.test'],
          [10, 'two.test'],
          [20, 'three.test'],
        ],
      },
      'one.test': ONE,
      'two.test': TWO,
      'three.test': THREE,
      'mx.own.test': { A: ['192.0.2.9'] },
    } as const
    expect(await hostsOf('a.test', zone)).toEqual(['one.test 192.0.2.1'])
  })

  test('is known by its addresses too', async () => {
    const zone = {
      'a.test': {
        MX: [
          [5, 'one.test'],
          [10, 'two.test'],
          [20, 'three.test'],
        ],
      },
      'one.test': ONE,
      'two.test': TWO,
      'three.test': THREE,
    } as const
    const options = { ownAddresses: addressRanges(['192.0.2.2']) }
    expect(await hostsOf('a.test', zone, options)).toEqual(['one.test 192.0.2.1'])
  })

  test('is never among the hosts, whatever the preferences are', async () => {
    const exchanger = fc.tuple(fc.nat({ max: 5 }), fc.constantFrom('one.test', 'two.test', 'three.test', 'mx.own.test'))
    await fc.assert(
      fc.asyncProperty(fc.array(exchanger, { minLength: 1, maxLength: 6 }), async (exchangers) => {
        const zone: Zone = {
          'a.test': { MX: exchangers },
          'one.test': ONE,
          'two.test': TWO,
          'three.test': THREE,
          'mx.own.test': { A: ['192.0.2.9'] },
        }
        const preferenceOf = (name: string): number =>
          Math.min(...exchangers.filter(([, host]) => host === name).map(([preference]) => preference))
        const own = preferenceOf('mx.own.test')
        const expected = ['one.test', 'three.test', 'two.test'].filter((name) => preferenceOf(name) < own)
        const found = await routed('a.test', zone)
        if (expected.length === 0) return void expect(found).toMatchObject({ enhancedCode: '5.4.6' })
        expect(found.status === 'found' ? found.hosts.map(({ name }) => name).toSorted() : []).toEqual(expected)
      }),
      { numRuns: 60 },
    )
  })
})

describe('an address literal', () => {
  test.each([
    ['[192.0.2.1]', '192.0.2.1'],
    ['[IPv6:2001:DB8:0::1]', '2001:db8::1'],
    ['[ipv6:::ffff:192.0.2.1]', '192.0.2.1'],
  ])('%s is its own host, and nobody is asked', async (domain, address) => {
    const before = server.asked.length
    expect(await routed(domain, {})).toMatchObject({
      hosts: [{ name: domain, addresses: [address], tls: { serverName: '', verify: 'nothing' } }],
    })
    expect(server.asked.length).toBe(before)
  })

  test.each(['[127.0.0.1]', '[IPv6:::1]', '[0.0.0.0]'])('%s leads back to this server', async (domain) => {
    expect(await routed(domain, {})).toMatchObject({ status: 'failed', enhancedCode: '5.4.6' })
  })

  test('of a family that is not in use waits', async () => {
    expect(await routed('[IPv6:2001:db8::1]', {}, { families: 'ipv4' })).toMatchObject({
      status: 'failed',
      isTemporary: true,
    })
  })
})

describe('a smarthost', () => {
  const SMARTHOST: Smarthost = {
    protocol: 'smtp',
    host: 'relay.test',
    port: 587,
    implicitTls: false,
    startTls: 'required',
  }
  const zone = { 'relay.test': ONE, 'a.test': TWO, 'b.test': THREE }

  test('takes the mail for all domains, and their DNS is not asked', async () => {
    const before = server.asked.length
    expect(await routed('a.test', zone, { smarthost: SMARTHOST })).toEqual({
      status: 'found',
      hosts: [
        {
          name: 'relay.test',
          protocol: 'smtp',
          addresses: ['192.0.2.1'],
          port: 587,
          path: undefined,
          implicitTls: false,
          tls: {
            startTls: 'required',
            verify: 'authorities',
            isEnforced: true,
            serverName: 'relay.test',
            names: ['relay.test'],
            tlsa: [],
            policy: { type: 'no-policy-found', domain: 'relay.test', strings: [], mxHosts: [] },
          },
          smarthost: SMARTHOST,
        },
      ],
      isComplete: true,
      policyFailures: [],
    })
    expect(server.asked.slice(before).toSorted()).toEqual(['A relay.test', 'AAAA relay.test'])
  })

  test('may be set for one domain', async () => {
    const smarthost = (domain: string): Smarthost | undefined => (domain === 'a.test' ? SMARTHOST : undefined)
    expect(await hostsOf('A.test', zone, { smarthost })).toEqual(['relay.test 192.0.2.1'])
    expect(await hostsOf('b.test', zone, { smarthost })).toEqual(['b.test 192.0.2.3'])
  })

  test.each<[string, Partial<Smarthost>, object]>([
    [
      'with implicit TLS needs a good certificate',
      { implicitTls: true, startTls: 'never' },
      { startTls: 'never', verify: 'authorities', isEnforced: true },
    ],
    [
      'that takes STARTTLS if offered needs none',
      { startTls: 'if-offered' },
      { startTls: 'if-offered', verify: 'nothing', isEnforced: false },
    ],
    [
      'may be told not to be checked',
      { verify: false },
      { startTls: 'required', verify: 'nothing', isEnforced: false },
    ],
  ])('%s', async (_, difference, expected) => {
    expect(await routed('a.test', zone, { smarthost: { ...SMARTHOST, ...difference } })).toMatchObject({
      hosts: [{ tls: expected }],
    })
  })

  test('may be an address, localhost, or a Unix socket', async () => {
    const own = { ...SMARTHOST, host: '127.0.0.1' }
    expect(await hostsOf('a.test', zone, { smarthost: own })).toEqual(['127.0.0.1 127.0.0.1'])
    expect(await hostsOf('a.test', zone, { smarthost: { ...own, host: 'localhost' } })).toEqual([
      'localhost ::1 127.0.0.1',
    ])
    const socket: Smarthost = { ...own, protocol: 'lmtp', host: 'localhost', path: '/run/lmtp', port: 0 }
    expect(await routed('a.test', zone, { smarthost: socket })).toMatchObject({
      hosts: [{ name: '', protocol: 'lmtp', path: '/run/lmtp', addresses: [] }],
    })
  })

  test('that has no address makes mail wait', async () => {
    const smarthost = { ...SMARTHOST, host: 'gone.test' }
    expect(await routed('a.test', zone, { smarthost })).toMatchObject({
      status: 'failed',
      isTemporary: true,
      enhancedCode: '4.4.3',
    })
  })

  test('must have TLS and a good certificate for a message with REQUIRETLS', async () => {
    const smarthost: Smarthost = { ...SMARTHOST, startTls: 'never' }
    expect(await routed('a.test', zone, { smarthost, requireTls: true })).toMatchObject({
      hosts: [{ tls: { startTls: 'required', verify: 'authorities', isEnforced: true } }],
    })
  })
})
