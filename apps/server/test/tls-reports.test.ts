/** `--tls-report-from`: what became of TLS is counted in a file beside the queue, and reports go to the domains that want them. */
import { createHash, X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { KeptTlsReports } from '@postern/relay/tls-report'
import { selfSigned } from '@postern/runtime/tls'
import { expect, onTestFinished, test } from 'vitest'
import { startFarServer } from '../../../packages/relay/test/remote/far-server.ts'
import { startZone } from '../../../packages/relay/test/route/zone.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern, serveMail } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

const PASSWORD = 'tiger'
const ADDRESS = '127.0.0.2'
const HOST = 'mx.far.example'
const COLLECTOR = 'collect.far.example'
const POLICY = { type: 'no-policy-found', domain: 'far.example', strings: [], mxHosts: [] } as const
/** The report of a day that is due. */
const DUE: KeptTlsReports = {
  version: 1,
  day: new Date().toISOString().slice(0, 10),
  counts: [],
  due: [
    {
      day: '2026-01-31',
      dueAt: 0,
      giveUpAt: Number.MAX_SAFE_INTEGER,
      attempts: 0,
      sentTo: [],
      counts: { domain: 'far.example', policies: [{ policy: POLICY, successes: 7, failures: 0, details: [] }] },
    },
  ],
}

/** Starts a server of HTTPS that keeps what is posted to it. */
async function collector(): Promise<{ readonly port: number; readonly cert: string; readonly posted: unknown[] }> {
  const { key, cert } = await selfSigned({ hosts: [COLLECTOR] })
  const posted: unknown[] = []
  const server = createServer({ key, cert }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      posted.push(JSON.parse(gunzipSync(Buffer.concat(chunks)).toString()))
      response.writeHead(201).end()
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, cert, posted }
}

test.each(sample(RUNTIME_NAMES, 1))(
  'a report is signed and delivered although TLS is wrong, and is not counted; other mail waits and is counted, on %s',
  async (runtime) => {
    const { port: httpsPort, cert, posted } = await collector()
    const shown = await selfSigned({ hosts: [HOST] })
    await using far = await startFarServer({ [ADDRESS]: { tls: shown } })
    const other = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' })
    const signed = true
    await using zone = await startZone({
      'far.example': { MX: [[10, HOST]], signed },
      [HOST]: { A: [ADDRESS], signed },
      [`_${far.port}._tcp.${HOST}`]: { TLSA: [[3, 1, 1, createHash('sha256').update(other).digest()]], signed },
      '_smtp._tls.far.example': {
        TXT: [`v=TLSRPTv1; rua=mailto:tls@far.example,https://${COLLECTOR}:${httpsPort}/v1`],
      },
      [COLLECTOR]: { A: ['127.0.0.1'] },
    })
    const cwd = temporaryDirectory()
    await postern(['domain', 'add', 'near.example'], { cwd })
    await postern(['user', 'add', 'ann@near.example'], { cwd, input: `${PASSWORD}\n` })
    await postern(['dkim', 'keygen', 'near.example'], { cwd })
    for (const name of ['mail', 'queue']) mkdirSync(join(cwd, name))
    const file = join(cwd, 'queue', 'tls-reports.json')
    writeFileSync(file, JSON.stringify(DUE))
    writeFileSync(join(cwd, 'ca.pem'), cert)
    const flags = [
      ['--relay', 'mx'],
      ['--relay-mx-port', String(far.port)],
      ['--relay-trust-dnssec'],
      ['--relay-ca', 'ca.pem'],
      ['--resolver', `udp://127.0.0.1:${zone.port}`],
      ['--tls-report-from', 'tls@near.example'],
      ['--hostname', 'mx.near.example'],
      ['--auth-without-tls'],
    ].flat()
    const server = await serveMail({ store: join(cwd, 'mail'), flags, cwd, command: RUNTIMES[runtime] })

    await expect.poll(() => far.taken.length).toBe(1)
    await expect.poll(() => posted.length).toBe(1)
    expect(posted[0]).toMatchObject({
      'organization-name': 'mx.near.example',
      'contact-info': 'tls@near.example',
      'report-id': expect.stringMatching(/^2026-01-31\.[0-9a-f]{24}$/),
      policies: [{ summary: { 'total-successful-session-count': 7 } }],
    })
    const [mail = ''] = far.taken
    expect(mail).toMatch(/^DKIM-Signature: [^]*\bd=near\.example;/m)
    expect(mail).toContain('\r\nTLS-Report-Domain: far.example\r\nTLS-Report-Submitter: near.example\r\n')
    const [commands = []] = far.connections
    expect(commands.filter((line) => /^(?:MAIL|RCPT)/.test(line))).toEqual([
      expect.stringMatching(/^MAIL FROM:<tls@near\.example> /),
      'RCPT TO:<tls@far.example>',
    ])

    const client = await SocketClient.ready(server.port)
    const plain = Buffer.from(`\0ann@near.example\0${PASSWORD}`).toString('base64')
    await client.command(`AUTH PLAIN ${plain}`, 235)
    await client.command('MAIL FROM:<ann@near.example>', 250)
    await client.command('RCPT TO:<bob@far.example>', 250)
    await client.command('DATA', 354)
    await client.command('From: ann@near.example\r\n\r\nhello\r\n.', 250)
    await client.quit()
    await server.says(/"message":"message waits for another attempt".*no TLSA record is for a certificate/)
    expect(await server.end('SIGTERM')).toBe(0)
    expect(far.taken).toHaveLength(1)
    const kept = JSON.parse(readFileSync(file, 'utf8')) as KeptTlsReports
    expect(kept.due).toEqual([])
    expect(kept.counts).toMatchObject([
      {
        domain: 'far.example',
        policies: [
          {
            policy: { type: 'tlsa', domain: HOST },
            successes: 0,
            failures: 1,
            details: [{ type: 'validation-failure', host: HOST, receivingAddress: ADDRESS, count: 1 }],
          },
        ],
      },
    ])
  },
)

test('a server starts although the file of counts is broken, and begins anew', async () => {
  const cwd = temporaryDirectory()
  for (const name of ['mail', 'queue']) mkdirSync(join(cwd, name))
  writeFileSync(join(cwd, 'queue', 'tls-reports.json'), '{"version":2}')
  await postern(['domain', 'add', 'near.example'], { cwd })
  await postern(['user', 'add', 'ann@near.example'], { cwd, input: `${PASSWORD}\n` })
  const flags = ['--relay', 'mx', '--resolver', 'udp://127.0.0.1:9', '--tls-report-from', 'tls@near.example']
  const server = await serveMail({ store: join(cwd, 'mail'), flags: [...flags, '--auth-without-tls'], cwd })
  await server.says(/"message":"the counts for reports on TLS begin anew, because the file cannot be used"/)
  await server.says(/"message":"reports on TLS are sent without a signature/)
  expect(await server.end('SIGTERM')).toBe(0)
})

test.each<[readonly string[], RegExp]>([
  [
    ['--tls-report-from', 'tls'],
    /^postern: --tls-report-from: "tls" is not an address such as tls-reports@example\.com$/,
  ],
  [['--tls-report-from', 'a b@x.example'], /^postern: --tls-report-from: "a b@x\.example" is not an address/],
  [['--tls-report-from', 'tls@x.example'], /^postern: --tls-report-from: needs --relay mx/],
  [
    ['--tls-report-from', 'tls@x.example', '--relay', 'smtp://r.example'],
    /^postern: --tls-report-from: needs --relay mx/,
  ],
])('%j is refused in one line', async (flags, said) => {
  const { code, stderr } = await postern(['serve', '--store', 'memory:', '--listen', 'smtp://127.0.0.1:0', ...flags])
  expect([code, stderr.trim().split('\n').length]).toEqual([2, 1])
  expect(stderr.trim()).toMatch(said)
})
