/** DANE: which TLSA records count for a host, and which certificates they let in. */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Chain, type Made, makeChain } from '../../../runtime/test/chain.ts'
import {
  createStsPolicies,
  type DaneCheck,
  type Route,
  route,
  type RouteOptions,
  verifyDane,
} from '../../src/route/index.ts'
import { startZone, type TlsaText, type Zone, type ZoneServer } from './zone.ts'

const HOST = 'mx.example.test'
let chain: Chain
let other: Chain

beforeAll(async () => {
  chain = await makeChain({ hosts: [HOST, '*.wild.test'] })
  other = await makeChain({ hosts: [HOST] })
})

type Tlsa = DaneCheck['tlsa'][number]

/** Makes a record for a certificate. */
function recordFor({ der, certificate }: Made, usage: number, selector: number, matchingType: number): Tlsa {
  const selected = Buffer.from(selector === 0 ? der : new Uint8Array(certificate.publicKey.rawData))
  const hash = (name: string): Buffer => createHash(name).update(selected).digest()
  const data = matchingType === 0 ? selected : hash(matchingType === 1 ? 'sha256' : 'sha512')
  return { usage, selector, matchingType, data: new Uint8Array(data) }
}

function verify(
  tlsa: readonly Tlsa[],
  shown: readonly Made[],
  more: Partial<DaneCheck> = {},
): ReturnType<typeof verifyDane> {
  return verifyDane({ tlsa, names: [HOST], certificates: shown.map(({ der }) => der), now: Date.now(), ...more })
}

const SELECTORS = [0, 1]
const MATCHING_TYPES = [0, 1, 2]
const FORMS = SELECTORS.flatMap((selector) => MATCHING_TYPES.map((matchingType) => [selector, matchingType] as const))

describe('a certificate', () => {
  test.each(FORMS)(
    'is let in by DANE-EE with selector %i and matching type %i, whatever its name and dates are',
    async (selector, matchingType) => {
      const { server, authority, root } = chain
      const shown = [server, authority, root]
      const record = recordFor(server, 3, selector, matchingType)
      expect(await verify([record], shown)).toBeUndefined()
      expect(await verify([record], [server], { names: ['elsewhere.test'], now: 0 })).toBeUndefined()
      expect(await verify([record], [other.server])).toMatchObject({ type: 'validation-failure' })
      expect(await verify([recordFor(authority, 3, selector, matchingType)], shown)).toMatchObject({
        type: 'validation-failure',
      })
    },
  )

  test.each(FORMS)('is let in by DANE-TA with selector %i and matching type %i', async (selector, matchingType) => {
    const { server, authority, root } = chain
    const shown = [server, authority, root]
    for (const anchor of [authority, root]) {
      const record = recordFor(anchor, 2, selector, matchingType)
      expect(await verify([record], shown)).toBeUndefined()
      expect(await verify([record], [server, root, authority])).toBeUndefined()
      expect(await verify([record], shown, { names: ['elsewhere.test'] })).toMatchObject({
        type: 'certificate-host-mismatch',
      })
      expect(await verify([record], shown, { now: Date.now() + 2 * 86_400_000 })).toMatchObject({
        type: 'certificate-expired',
      })
      expect(await verify([record], shown, { now: 0 })).toMatchObject({ type: 'certificate-expired' })
      expect(await verify([record], [other.server, authority, root])).toMatchObject({ type: 'validation-failure' })
      expect(await verify([record], [server])).toEqual(
        selector === 0 && matchingType === 0 && anchor === authority
          ? undefined
          : expect.objectContaining({ type: 'validation-failure' }),
      )
    }
  })

  test('is let in by one record of several', async () => {
    const records = [recordFor(other.server, 3, 1, 1), recordFor(other.root, 2, 0, 1), recordFor(chain.server, 3, 1, 2)]
    expect(await verify(records, [chain.server])).toBeUndefined()
  })

  test('may be for a name with a wildcard, which stands for one label', async () => {
    const { server, authority, root } = chain
    const record = recordFor(root, 2, 0, 1)
    const shown = [server, authority, root]
    expect(await verify([record], shown, { names: ['a.wild.test'] })).toBeUndefined()
    for (const name of ['wild.test', 'a.b.wild.test', 'xwild.test', '']) {
      expect(await verify([record], shown, { names: [name] })).toMatchObject({ type: 'certificate-host-mismatch' })
    }
  })

  test('is not let in by an authority that may not sign, or whose name somebody else has taken', async () => {
    const plain = await makeChain({ hosts: [HOST], isPlain: true })
    expect(await verify([recordFor(plain.root, 2, 0, 1)], [plain.server, plain.authority, plain.root])).toMatchObject({
      type: 'validation-failure',
    })
    // Both chains have the same names, and other keys.
    expect(
      await verify([recordFor(chain.root, 2, 0, 1)], [other.server, other.authority, chain.authority, chain.root]),
    ).toMatchObject({ type: 'validation-failure' })
  })

  test('that is its own authority is let in by DANE-TA', async () => {
    expect(await verify([recordFor(chain.root, 2, 0, 1)], [chain.root])).toMatchObject({
      type: 'certificate-host-mismatch',
    })
  })

  test('has to be there, and to be a certificate', async () => {
    const record = recordFor(chain.server, 3, 1, 1)
    expect(await verify([record], [])).toMatchObject({
      type: 'validation-failure',
      detail: 'the server showed no certificate',
    })
    expect(await verify([record], [], { certificates: [new Uint8Array([1, 2, 3])] })).toMatchObject({
      type: 'validation-failure',
    })
    expect(
      await verify([record], [chain.server], { certificates: [chain.server.der, new Uint8Array(40)] }),
    ).toBeUndefined()
  })
})

describe('the TLSA records of a host', () => {
  let server: ZoneServer
  const SHA256 = new Uint8Array(32).fill(0xab)
  const GOOD: TlsaText = [3, 1, 1, SHA256]
  const signed = true

  beforeAll(async () => void (server = await startZone({})))
  beforeEach(() => void (server.zone = {}))
  afterAll(() => server[Symbol.asyncDispose]())

  /** A zone where everything is signed. */
  function signedZone(tlsa: readonly TlsaText[] | 'failed' = [GOOD]): Zone {
    return {
      'a.test': { MX: [[1, 'mx.a.test']], signed },
      'mx.a.test': { A: ['192.0.2.1'], signed },
      '_25._tcp.mx.a.test': { TLSA: tlsa, signed },
    }
  }

  function routed(zone: Zone, options: Partial<RouteOptions> = {}): Promise<Route> {
    server.zone = zone
    return route('a.test', { resolver: server.resolver, ownNames: [], random: () => 0, trustsDnssec: true, ...options })
  }

  test('are what the host is held to if DNSSEC vouches for them', async () => {
    expect(await routed(signedZone())).toEqual({
      status: 'found',
      hosts: [
        {
          name: 'mx.a.test',
          protocol: 'smtp',
          addresses: ['192.0.2.1'],
          port: 25,
          implicitTls: false,
          tls: {
            startTls: 'required',
            verify: 'dane',
            isEnforced: true,
            serverName: 'mx.a.test',
            names: ['mx.a.test', 'a.test'],
            tlsa: [{ usage: 3, selector: 1, matchingType: 1, data: SHA256 }],
            policy: {
              type: 'tlsa',
              domain: 'mx.a.test',
              strings: [`3 1 1 ${'ab'.repeat(32)}`],
              mxHosts: ['mx.a.test'],
            },
          },
        },
      ],
      isComplete: true,
      policyFailures: [],
    })
  })

  test.each<[string, (zone: Zone) => Zone, Partial<RouteOptions>]>([
    ['the resolver is not trusted', (zone) => zone, { trustsDnssec: false }],
    ['the MX records are not signed', (zone) => ({ ...zone, 'a.test': { MX: [[1, 'mx.a.test']] } }), {}],
    ['the addresses are not signed', (zone) => ({ ...zone, 'mx.a.test': { A: ['192.0.2.1'] } }), {}],
    ['they are not signed themselves', (zone) => ({ ...zone, '_25._tcp.mx.a.test': { TLSA: [GOOD] } }), {}],
    ['they are for another port', (zone) => zone, { port: 2525 }],
    ['there are none', (zone) => ({ ...zone, '_25._tcp.mx.a.test': { signed } }), {}],
  ])('do not count if %s', async (_, change, options) => {
    expect(await routed(change(signedZone()), options)).toMatchObject({
      hosts: [{ tls: { startTls: 'if-offered', verify: 'nothing', tlsa: [], policy: { type: 'no-policy-found' } } }],
      policyFailures: [],
    })
  })

  test('are not even asked for if the addresses are not signed', async () => {
    const before = server.asked.length
    await routed({ ...signedZone(), 'mx.a.test': { A: ['192.0.2.1'] } })
    expect(server.asked.slice(before).filter((question) => question.startsWith('TLSA'))).toEqual([])
  })

  test.each<[string, TlsaText]>([
    ['PKIX-TA', [0, 1, 1, SHA256]],
    ['PKIX-EE', [1, 1, 1, SHA256]],
    ['an unknown usage', [4, 1, 1, SHA256]],
    ['an unknown selector', [3, 2, 1, SHA256]],
    ['an unknown matching type', [3, 1, 3, SHA256]],
    ['a digest that is too short', [3, 1, 1, SHA256.slice(1)]],
    ['a SHA-512 digest of the wrong length', [3, 1, 2, SHA256]],
    ['an empty certificate', [3, 0, 0, new Uint8Array(0)]],
  ])('with %s cannot be used, so TLS is required and nothing is checked', async (_, bad) => {
    expect(await routed(signedZone([bad]))).toMatchObject({
      hosts: [
        {
          tls: {
            startTls: 'required',
            verify: 'nothing',
            isEnforced: true,
            tlsa: [],
            problem: { type: 'tlsa-invalid' },
          },
        },
      ],
      policyFailures: [],
    })
    expect(await routed(signedZone([bad, GOOD]))).toMatchObject({
      hosts: [{ tls: { verify: 'dane', tlsa: [{ usage: 3, selector: 1, matchingType: 1 }] } }],
      policyFailures: [],
    })
  })

  test('that cannot be looked up make mail wait', async () => {
    expect(await routed(signedZone('failed'))).toMatchObject({
      status: 'failed',
      isTemporary: true,
      enhancedCode: '4.7.0',
      policyFailures: [{ type: 'dnssec-invalid', host: 'mx.a.test' }],
    })
  })

  test('that cannot be looked up leave the other hosts', async () => {
    const zone: Zone = {
      ...signedZone('failed'),
      'a.test': {
        MX: [
          [1, 'mx.a.test'],
          [2, 'two.test'],
        ],
        signed,
      },
      'two.test': { A: ['192.0.2.2'], signed },
    }
    expect(await routed(zone)).toMatchObject({
      status: 'found',
      hosts: [{ name: 'two.test', tls: { verify: 'nothing' } }],
      isComplete: false,
    })
  })

  test('are those of the end of its aliases, and then its own', async () => {
    const alias: Zone = {
      ...signedZone(),
      'mx.a.test': { CNAME: 'real.test', signed },
      'real.test': { A: ['192.0.2.1'], signed },
    }
    expect(await routed(alias)).toMatchObject({ hosts: [{ tls: { verify: 'dane', serverName: 'mx.a.test' } }] })
    expect(await routed({ ...alias, '_25._tcp.real.test': { TLSA: [GOOD], signed } })).toMatchObject({
      hosts: [
        {
          name: 'mx.a.test',
          tls: { verify: 'dane', serverName: 'real.test', names: ['real.test', 'mx.a.test', 'a.test'] },
        },
      ],
    })
  })

  test('count for a domain that is its own exchanger', async () => {
    const zone: Zone = { 'a.test': { A: ['192.0.2.1'], signed }, '_25._tcp.a.test': { TLSA: [GOOD], signed } }
    expect(await routed(zone)).toMatchObject({
      hosts: [{ name: 'a.test', tls: { verify: 'dane', names: ['a.test'] } }],
    })
  })

  test('go before a policy of MTA-STS', async () => {
    const zone: Zone = { ...signedZone(), '_mta-sts.a.test': { TXT: ['v=STSv1; id=1'] } }
    const text = 'version: STSv1\nmode: enforce\nmx: other.test\nmax_age: 60'
    const sts = createStsPolicies({
      resolver: server.resolver,
      fetch: () => Promise.resolve({ status: 'fetched', text }),
    })
    expect(await routed(zone, { sts })).toMatchObject({
      hosts: [{ tls: { verify: 'dane', policy: { type: 'tlsa' } } }],
    })
  })

  test('are enough for REQUIRETLS, and so is a signed answer without them', async () => {
    expect(await routed(signedZone(), { requireTls: true })).toMatchObject({ hosts: [{ tls: { verify: 'dane' } }] })
    const none: Zone = { ...signedZone(), '_25._tcp.mx.a.test': { signed } }
    expect(await routed(none, { requireTls: true })).toMatchObject({
      hosts: [{ tls: { startTls: 'required', verify: 'authorities', isEnforced: true, names: ['mx.a.test'] } }],
    })
    expect(await routed(none, { requireTls: true, trustsDnssec: false })).toMatchObject({
      status: 'failed',
      enhancedCode: '5.7.30',
    })
  })
})
