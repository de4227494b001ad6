/**
 * Runs on Node, Deno and Bun: finds a route with a policy of MTA-STS, connects to a server with TLSA records, and compresses a report.
 * The argument is JSON.
 */
import { createHash } from 'node:crypto'
import process from 'node:process'
import { gunzipSync } from 'node:zlib'
import { createResolver } from '@postern/dns'
import { udpUpstream } from '@postern/dns/sockets'
import { addressRanges } from '@postern/engine'
import { httpsPolicyFetch } from '../../src/route/https/index.ts'
import { createStsPolicies, route, verifyDane } from '../../src/route/index.ts'
import { compressed, TlsCounter, tlsReport } from '../../src/tls-report/index.ts'

export interface Place {
  readonly dnsPort: number
  readonly httpsPort: number
  readonly authorities: string
  readonly smtpPort: number
}

const { dnsPort, httpsPort, authorities, smtpPort } = JSON.parse(process.argv[2] ?? '') as Place
const resolver = createResolver({ upstreams: [udpUpstream({ address: '127.0.0.1', port: dnsPort })] })
const options = { resolver, ownNames: [], ownAddresses: addressRanges([]), port: smtpPort }

const fetch = httpsPolicyFetch({ resolver, port: httpsPort, authorities })
const wrong = httpsPolicyFetch({ resolver, port: httpsPort })
const first = await route('sts.test', { ...options, sts: createStsPolicies({ resolver, fetch }) })
const second = await route('sts.test', { ...options, sts: createStsPolicies({ resolver, fetch: wrong }) })
console.log(first.status === 'found' && first.hosts.map(({ name, tls }) => `${name} ${tls.verify}`).join())
console.log(second.policyFailures.map(({ type }) => type).join())

const { Deno, Bun } = globalThis as { readonly Deno?: unknown; readonly Bun?: unknown }
const runtime = Deno === undefined ? (Bun === undefined ? 'node' : 'bun') : 'deno'
const { dial } = (await import(`@postern/runtime/${runtime}`)) as typeof import('@postern/runtime/node')
for (const domain of ['anchor.test', 'key.test', 'wrong.test']) {
  const found = await route(domain, { ...options, trustsDnssec: true })
  const [host] = found.status === 'found' ? found.hosts : []
  if (host === undefined) throw new Error(`no route to ${domain}`)
  const [address = ''] = host.addresses
  const tls = { rejectUnauthorized: false, servername: host.tls.serverName }
  const duplex = await dial({ host: address, port: host.port, implicitTls: true, tls })
  const certificates = duplex.peerCertificates?.() ?? []
  const failure = await verifyDane({ ...host.tls, certificates, now: Date.now() })
  console.log(domain, host.tls.verify, failure?.type ?? 'verified')
  duplex.destroy()
}

const counter = new TlsCounter()
counter.count('a.test', { type: 'no-policy-found', domain: 'a.test', strings: [], mxHosts: [] })
const [counts = { domain: '', policies: [] }] = counter.take()
const day = { startsAt: 0, endsAt: 86_399_000 }
const report = tlsReport({ counts, organization: 'x', contact: 'x@a.test', id: '1970-01-01', ...day })
const unpacked = gunzipSync(await compressed(report)).toString()
console.log(
  createHash('sha256').update(unpacked).digest('hex') ===
    createHash('sha256').update(JSON.stringify(report)).digest('hex'),
)
process.exit()
