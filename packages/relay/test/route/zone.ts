/** A DNS server for the tests of routes: its zones are in a table. */
import { createResolver, type CountingResolver } from '@postern/dns'
import { udpUpstream } from '@postern/dns/sockets'
import packet, { type Answer } from 'dns-packet'
import { type DnsServer, type Scene, startDnsServer } from '../../../../test/kit/dns-server.ts'

/** Records by name; `failed` answers SERVFAIL. With `signed`, DNSSEC vouches for the answer. */
export type Zone = Readonly<Record<string, ZoneName | 'failed'>>

export interface ZoneName {
  readonly MX?: readonly (readonly [preference: number, exchange: string])[]
  readonly A?: readonly string[]
  readonly AAAA?: readonly string[]
  readonly CNAME?: string
  readonly TXT?: readonly string[]
  readonly TLSA?: readonly TlsaText[] | 'failed'
  readonly signed?: boolean
}

export type TlsaText = readonly [usage: number, selector: number, matchingType: number, data: Uint8Array]

export interface ZoneServer extends AsyncDisposable {
  readonly port: number
  readonly resolver: CountingResolver
  /** `MX example.test`, in their order. */
  readonly asked: readonly string[]
  /** May be replaced. */
  zone: Zone
}

const SOA: Answer = {
  type: 'SOA',
  name: 'test',
  ttl: 60,
  data: { mname: 'ns.test', rname: 'admin.test', serial: 1, refresh: 60, retry: 60, expire: 60, minimum: 1 },
}
const NXDOMAIN = 3
const SERVFAIL = 2

/** Starts it with a resolver that keeps nothing. */
export async function startZone(zone: Zone): Promise<ZoneServer> {
  const asked: string[] = []
  const started: { zone: Zone } = { zone }
  const server: DnsServer = await startDnsServer(({ key, type }) => {
    asked.push(`${type} ${key}`)
    return sceneOf(started.zone, key, type)
  })
  const resolver = createResolver({
    upstreams: [udpUpstream({ address: '127.0.0.1', port: server.port })],
    cache: { maxEntries: 0 },
  })
  return Object.assign(started, {
    port: server.port,
    resolver,
    asked,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  })
}

function sceneOf(zone: Zone, key: string, type: string): Scene {
  const answers: Answer[] = []
  let name = key
  for (;;) {
    const found = zone[name]
    if (found === 'failed') return { rcode: SERVFAIL }
    if (found === undefined) return { rcode: NXDOMAIN, answers, authorities: [SOA] }
    const flags = found.signed === true ? packet.AUTHENTIC_DATA : 0
    if (found.CNAME !== undefined && answers.length < 3) {
      answers.push({ type: 'CNAME', name, ttl: 60, data: found.CNAME })
      name = found.CNAME
      continue
    }
    if (type === 'TLSA' && found.TLSA === 'failed') return { rcode: SERVFAIL }
    const records = recordsOf(name, type, found)
    return { answers: [...answers, ...records], authorities: records.length === 0 ? [SOA] : [], flags }
  }
}

function recordsOf(name: string, type: string, found: ZoneName): readonly Answer[] {
  const common = { name, ttl: 60 }
  switch (type) {
    case 'MX':
      return (found.MX ?? []).map(([preference, exchange]) => ({
        ...common,
        type: 'MX',
        data: { preference, exchange },
      }))
    case 'A':
    case 'AAAA':
      return (found[type] ?? []).map((data) => ({ ...common, type, data }))
    case 'TXT':
      return (found.TXT ?? []).map((data) => ({ ...common, type: 'TXT', data: [data] }))
    case 'TLSA':
      return (found.TLSA === 'failed' ? [] : (found.TLSA ?? [])).map(([usage, selector, matchingType, data]) => ({
        ...common,
        type: 'TLSA',
        data: { usage, selector, matchingType, certificate: Buffer.from(data) },
      }))
    default:
      return []
  }
}
