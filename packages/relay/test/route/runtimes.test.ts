/** What of routes needs a runtime: HTTPS, certificates of a connection, WebCrypto, gzip. */
import { createHash } from 'node:crypto'
import { createServer as createHttpsServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Miniflare } from 'miniflare'
import { createServer as createTlsServer } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { COMMANDS } from '../../../../test/kit/commands.ts'
import { mustRun } from '../../../../test/kit/tool.ts'
import { type Chain, makeChain, type Made } from '../../../runtime/test/chain.ts'
import { bundle, COMPATIBILITY_DATE } from '../../../runtime/test/workerd/serving.ts'
import { partsOf } from '../report/sample.ts'
import type { Place } from './runtime-program.ts'
import type { WorkerAnswer, WorkerRequest } from './worker.ts'
import { startZone, type TlsaText, type ZoneServer } from './zone.ts'

const POLICY = 'version: STSv1\nmode: enforce\nmx: mx.sts.test\nmax_age: 86400\n'
const A = ['127.0.0.1']

let zone: ZoneServer
let https: Server
let smtp: ReturnType<typeof createTlsServer>
let place: Place
let host: Chain

beforeAll(async () => {
  const policyHost = await makeChain({ hosts: ['mta-sts.sts.test'] })
  host = await makeChain({ hosts: ['anchor.test'] })
  https = createHttpsServer({ key: policyHost.key, cert: policyHost.cert }, (_, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' }).end(POLICY)
  })
  smtp = createTlsServer({ key: host.key, cert: host.cert }, (socket) => socket.on('error', () => {}))
  const [httpsPort, smtpPort] = await Promise.all([listening(https), listening(smtp)])
  const records = (made: Made, usage: number): readonly TlsaText[] => [[usage, 1, 1, digestOf(made)]]
  const signed = true
  zone = await startZone({
    'sts.test': {
      MX: [
        [1, 'mx.sts.test'],
        [2, 'other.sts.test'],
      ],
    },
    'mx.sts.test': { A },
    'other.sts.test': { A },
    'mta-sts.sts.test': { A },
    '_mta-sts.sts.test': { TXT: ['v=STSv1; id=1'] },
    'anchor.test': { A, signed },
    'key.test': { A, signed },
    'wrong.test': { A, signed },
    [`_${smtpPort}._tcp.anchor.test`]: { TLSA: records(host.root, 2), signed },
    [`_${smtpPort}._tcp.key.test`]: { TLSA: records(host.server, 3), signed },
    [`_${smtpPort}._tcp.wrong.test`]: { TLSA: records(host.root, 3), signed },
  })
  place = { dnsPort: zone.port, httpsPort, authorities: policyHost.root.certificate.toString('pem'), smtpPort }
})
afterAll(async () => {
  https.close()
  smtp.close()
  await zone[Symbol.asyncDispose]()
})

function digestOf({ certificate }: Made): Buffer {
  return createHash('sha256').update(Buffer.from(certificate.publicKey.rawData)).digest()
}

async function listening(server: Server | typeof smtp): Promise<number> {
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done)
  })
  return (server.address() as AddressInfo).port
}

test.each(['node', 'deno', 'bun'] as const)(
  'on %s policies, certificates and reports are as everywhere',
  async (runtime) => {
    const program = resolve(import.meta.dirname, 'runtime-program.ts')
    const [command, ...args] = [...COMMANDS[runtime], program, JSON.stringify(place)] as [string, ...string[]]
    const { stdout } = await mustRun(command, args)
    expect(stdout.toString().trim().split('\n')).toEqual([
      'mx.sts.test authorities',
      'sts-webpki-invalid',
      'anchor.test dane verified',
      'key.test dane verified',
      'wrong.test dane validation-failure',
      'true',
    ])
  },
)

test('on workerd policies, certificates and reports are as everywhere', async () => {
  const contents = await bundle(resolve(import.meta.dirname, 'worker.ts'))
  const miniflare = new Miniflare({
    workers: [
      {
        config: {
          name: 'relay',
          compatibilityDate: COMPATIBILITY_DATE,
          manifest: { mainModule: 'worker.js', modulesRoot: '/', modules: { 'worker.js': { type: 'esm', contents } } },
        },
      },
    ],
  })
  try {
    const { server, authority, root } = host
    const asked: WorkerRequest = {
      policy: POLICY,
      certificates: [server, authority, root].map(({ der }) => [...der]),
      names: ['anchor.test'],
      tlsa: [
        { usage: 2, data: [...digestOf(root)] },
        { usage: 3, data: [...digestOf(server)] },
        { usage: 3, data: [...digestOf(root)] },
      ],
    }
    const response = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body: JSON.stringify(asked) })
    const answer = (await response.json()) as WorkerAnswer
    expect(answer.mode).toBe('enforce')
    expect(answer.failures.map((type) => type ?? 'verified')).toEqual(['verified', 'verified', 'validation-failure'])
    expect(partsOf(answer.report).map(({ type }) => type)).toEqual([
      'text/plain',
      'message/delivery-status',
      'message/rfc822',
    ])
    expect(partsOf(answer.report)[2]?.body).toBe('Subject: caf\u00e9\r\n\r\nhello\r\n')
    const report: unknown = JSON.parse(gunzipSync(Buffer.from(answer.compressed)).toString())
    expect(report).toMatchObject({ 'report-id': '2026-11-30' })
  } finally {
    await miniflare.dispose()
  }
})
