/** The relay connects to a server on loopback by the routes of DNS, and holds it to the policy of the domain. */
import { createHash } from 'node:crypto'
import { addressRanges, createServer, type Listener, type Server } from '@postern/engine'
import type { Client } from '@postern/engine/client'
import { type MxRouterOptions, mxRouter } from '@postern/relay'
import { createStsPolicies } from '@postern/relay/route'
import { connect, listen } from '@postern/runtime/node'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startZone, type Zone, type ZoneServer } from '../../../packages/relay/test/route/zone.ts'
import { type Chain, makeChain, type Made } from '../../../packages/runtime/test/chain.ts'
import { connectTo } from '../src/serve/relay/router.ts'

const HOST = 'mx.a.test'
const signed = true
const server: Server = createServer({ hostname: HOST })

let chain: Chain
let zone: ZoneServer
let secure: Listener
let clear: Listener
const clients: Client[] = []

beforeAll(async () => {
  chain = await makeChain({ hosts: [HOST] })
  zone = await startZone({})
  const place = { port: 0, host: '127.0.0.1' }
  secure = await listen(server, { ...place, tls: { key: chain.key, cert: chain.cert } })
  clear = await listen(server, place)
})
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy()
})
afterAll(async () => {
  await secure.close()
  await clear.close()
  await zone[Symbol.asyncDispose]()
})

interface Wish {
  /** The usage of a TLSA record, and the certificate that it names. */
  readonly tlsa?: readonly [number, Made]
  /** The mode of the policy of MTA-STS. */
  readonly mode?: 'enforce' | 'testing'
  /** The server has no STARTTLS. */
  readonly isInClear?: boolean
  /** The root of the server's certificate is trusted. */
  readonly isTrusted?: boolean
  /** The host that the policy lists. */
  readonly listed?: string
  readonly least?: MxRouterOptions['tls']
}

function zoneOf({ tlsa, mode }: Wish, port: number): Zone {
  const digest = tlsa && createHash('sha256').update(Buffer.from(tlsa[1].certificate.publicKey.rawData)).digest()
  return {
    'a.test': { MX: [[10, HOST]], signed },
    [HOST]: { A: ['127.0.0.1'], signed },
    ...(tlsa && digest && { [`_${port}._tcp.${HOST}`]: { TLSA: [[tlsa[0], 1, 1, digest]], signed } }),
    ...(mode !== undefined && { '_mta-sts.a.test': { TXT: ['v=STSv1; id=1'] } }),
  }
}

/** Routes mail for a.test and connects to its first hop. Returns what came of it. */
async function outcomeOf(wish: Wish): Promise<'TLS' | 'in clear' | 'refused' | 'no route'> {
  const { resolver } = zone
  const { port } = (wish.isInClear === true ? clear : secure).address
  zone.zone = zoneOf(wish, port)
  const text = `version: STSv1\nmode: ${wish.mode}\nmx: ${wish.listed ?? HOST}\nmax_age: 60`
  const fetch = () => Promise.resolve({ status: 'fetched', text } as const)
  const router = mxRouter({
    resolver,
    ownNames: ['mx.own.test'],
    ownAddresses: addressRanges([]),
    port,
    sts: createStsPolicies({ resolver, fetch }),
    trustsDnssec: true,
    tls: wish.least,
  })
  const found = await router.route('a.test', { requireTls: false })
  const [hop] = 'hops' in found ? found.hops : []
  if (hop === undefined) return 'no route'
  const ca = wish.isTrusted === true ? [chain.root.certificate.toString('pem')] : []
  const signal = new AbortController().signal
  try {
    const client = await connectTo(hop, false, signal, { connect, hostname: 'mx.own.test', ca })
    clients.push(client)
    return client.tls === undefined ? 'in clear' : 'TLS'
  } catch (error) {
    expect(error).toMatchObject({ name: 'ClientError', stage: 'starttls', isTemporary: true })
    return 'refused'
  }
}

test.each<[string, () => Wish, string]>([
  ['takes any certificate if there is no policy', () => ({}), 'TLS'],
  ['does without TLS if there is no policy', () => ({ isInClear: true }), 'in clear'],
  ['refuses to do without TLS if the least is `must`', () => ({ isInClear: true, least: 'must' }), 'refused'],
  ['takes any certificate if the least is `must`', () => ({ least: 'must' }), 'TLS'],
  ['refuses a certificate that is not trusted if the least is `verified`', () => ({ least: 'verified' }), 'refused'],
  ['takes a trusted certificate in the mode enforce', () => ({ mode: 'enforce', isTrusted: true }), 'TLS'],
  ['refuses a certificate that is not trusted in the mode enforce', () => ({ mode: 'enforce' }), 'refused'],
  ['refuses to do without TLS in the mode enforce', () => ({ mode: 'enforce', isInClear: true }), 'refused'],
  [
    'takes no host that the policy does not list in the mode enforce',
    () => ({ mode: 'enforce', listed: 'x.test' }),
    'no route',
  ],
  ['takes any certificate in the mode testing', () => ({ mode: 'testing' }), 'TLS'],
  ['does without TLS in the mode testing', () => ({ mode: 'testing', isInClear: true }), 'in clear'],
  ['takes any listed host in the mode testing', () => ({ mode: 'testing', listed: 'x.test' }), 'TLS'],
  ['takes the certificate that a TLSA record names', () => ({ tlsa: [3, chain.server] }), 'TLS'],
  ['takes a certificate of the authority that a TLSA record names', () => ({ tlsa: [2, chain.root] }), 'TLS'],
  [
    'refuses another certificate than the TLSA record names, even a trusted one',
    () => ({ tlsa: [3, chain.root], isTrusted: true }),
    'refused',
  ],
  [
    'refuses to do without TLS if there is a TLSA record',
    () => ({ tlsa: [3, chain.server], isInClear: true }),
    'refused',
  ],
  [
    'looks at the TLSA record and not at the policy of MTA-STS',
    () => ({ tlsa: [3, chain.server], mode: 'enforce', listed: 'x.test' }),
    'TLS',
  ],
])('the relay %s', async (_, wish, expected) => {
  expect(await outcomeOf(wish())).toBe(expected)
})
