/** What of routes needs a runtime: HTTPS, certificates of a connection, WebCrypto, gzip. */
import { createHash } from 'node:crypto'
import { createServer as createHttpsServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { COMMANDS } from '../../../../test/kit/commands.ts'
import { mustRun } from '../../../../test/kit/tool.ts'
import { makeChain, type Made } from '../../../runtime/test/chain.ts'
import type { Place } from './runtime-program.ts'
import { startZone, type TlsaText, type ZoneServer } from './zone.ts'

const POLICY = 'version: STSv1\nmode: enforce\nmx: mx.sts.test\nmax_age: 86400\n'
const A = ['127.0.0.1']

let zone: ZoneServer
let https: Server
let smtp: ReturnType<typeof createTlsServer>
let place: Place

beforeAll(async () => {
  const policyHost = await makeChain({ hosts: ['mta-sts.sts.test'] })
  const host = await makeChain({ hosts: ['anchor.test'] })
  https = createHttpsServer({ key: policyHost.key, cert: policyHost.cert }, (_, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' }).end(POLICY)
  })
  smtp = createTlsServer({ key: host.key, cert: host.cert }, (socket) => socket.on('error', () => {}))
  const [httpsPort, smtpPort] = await Promise.all([listening(https), listening(smtp)])
  const records = (made: Made, usage: number): readonly TlsaText[] => [
    [usage, 1, 1, createHash('sha256').update(Buffer.from(made.certificate.publicKey.rawData)).digest()],
  ]
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
