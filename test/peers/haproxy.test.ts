/** Real proxies before the real server: HAProxy, which sends the address of its client, and curl, which can send a header itself. */
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect } from 'vitest'
import { CURL, CURL_PROXY, CURL_TLS, HAPROXY } from '../kit/abilities.ts'
import { testWith as everyWith } from '../kit/need.ts'
import { HaProxy } from './haproxy.ts'
import { type Served, serveClients } from './served.ts'
import { difference, keptFor, protocolOf } from './store.ts'
import { mustRun, runTool } from '../kit/tool.ts'
import { partly } from '../kit/partly.ts'

/** Each run makes one in two of the tests without a table. */
const testWith = partly(everyWith)

const NEEDS = [HAPROXY, CURL, CURL_TLS]
/** The addresses that HAProxy and its clients connect from. */
const PROXY = '127.0.0.1'
const CLIENT = '127.0.0.2'

let served: Served
let proxy: HaProxy

beforeAll(async () => {
  served = await serveClients([`--proxy-from=${PROXY}`, '--debug', '--log-level=debug'])
  if (HAPROXY.missing !== undefined) return
  const { smtp, smtps, scratch } = served
  await mustRun('sh', [
    '-c',
    `cat ${scratch.join('cert.pem')} ${scratch.join('key.pem')} > ${scratch.join('both.pem')}`,
  ])
  const tls = `ssl crt ${scratch.join('both.pem')}`
  proxy = await HaProxy.start(scratch, {
    one: { port: smtp, server: 'send-proxy' },
    two: { port: smtp, server: 'send-proxy-v2 proxy-v2-options crc32c,unique-id', lines: ['unique-id-format %ci-%cp'] },
    'two-smtps': { port: smtps, server: 'send-proxy-v2' },
    'one-smtps': { port: smtps, server: 'send-proxy' },
    terminating: {
      port: smtp,
      bind: tls,
      server: 'send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c',
    },
    silent: { port: smtp, server: '' },
    checked: {
      port: smtp,
      server: 'send-proxy-v2 check check-send-proxy inter 200ms',
      lines: ['option smtpchk EHLO check.example'],
    },
  })
})
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]()
  await served?.[Symbol.asyncDispose]()
})

async function curl(url: string, to: string, flags: readonly string[] = []): Promise<{ code: number; stderr: string }> {
  const file = served.scratch.join(`${to}.eml`)
  await writeFile(file, `Subject: ${to}\r\n\r\n.through a proxy\r\n`)
  const mail = ['--mail-from', 'ann@sender.example', '--mail-rcpt', to, '--upload-file', file]
  return runTool('curl', [
    '-sS',
    '--cacert',
    served.caFile,
    '--max-time',
    '20',
    ...flags,
    ...mail,
    `${url}/client.example`,
  ])
}

/** Sends through one frontend of HAProxy. Checks that the record and the trace have the address of the client. */
async function sent(way: string, scheme: string, by: string, flags: readonly string[] = []): Promise<string> {
  const to = `${way}${flags.length}@postern.example`
  const result = await curl(`${scheme}://127.0.0.1:${proxy.port(way)}`, to, ['--interface', CLIENT, ...flags])
  expect(result, result.stderr).toMatchObject({ code: 0 })
  const kept = await keptFor(served.store, to)
  expect(kept.record.session.remote).toMatchObject({ family: 'ipv4', address: CLIENT })
  expect(kept.trace).toContain(`([${CLIENT}])`)
  expect(protocolOf(kept)).toBe(by)
  expect(kept.bytes.toString()).toBe(`Subject: ${to}\r\n\r\n.through a proxy\r\n`)
  return kept.record.session.tls?.protocol ?? ''
}

testWith(NEEDS, 'haproxy passes mail with version 1 and 2, in clear and by STARTTLS', async () => {
  for (const way of ['one', 'two']) {
    await sent(way, 'smtp', 'ESMTP')
    expect(await sent(way, 'smtp', 'ESMTPS', ['--ssl-reqd'])).toMatch(/^TLSv1\.[23]$/)
  }
})

testWith(NEEDS, 'haproxy passes implicit TLS on behind its header', async () => {
  for (const way of ['one-smtps', 'two-smtps']) expect(await sent(way, 'smtps', 'ESMTPS')).toMatch(/^TLSv1\.[23]$/)
})

testWith(NEEDS, 'haproxy passes 10 MiB behind its header, in clear and under TLS', async () => {
  const message = `Subject: large\r\n\r\n${'x'.repeat(998)}\r\n`.padEnd(10 * 1024 * 1024, '0123456789abcdef\r\n')
  const file = served.scratch.join('large.eml')
  await writeFile(file, `${message}\r\n`)
  for (const url of [`smtp://127.0.0.1:${proxy.port('two')}`, `smtps://127.0.0.1:${proxy.port('two-smtps')}`]) {
    const to = `${url.slice(0, url.indexOf(':'))}-large@postern.example`
    const mail = ['--mail-from', 'ann@sender.example', '--mail-rcpt', to, '--upload-file', file]
    await mustRun('curl', ['-sS', '--cacert', served.caFile, ...mail, `${url}/client.example`])
    expect(difference((await keptFor(served.store, to)).bytes, Buffer.from(`${message}\r\n`))).toBeUndefined()
  }
})

testWith(NEEDS, 'haproxy ends TLS itself, and the session counts as TLS', async () => {
  expect(await sent('terminating', 'smtps', 'ESMTPS')).toMatch(/^TLSv1\.[23]$/)
  const { record } = await keptFor(served.store, 'terminating0@postern.example')
  expect(record.session.tls?.cipher).toMatch(/^(TLS|ECDHE)[_-]/)
})

testWith(
  NEEDS,
  'a connection of haproxy without a header is closed, and the log has the reason',
  async () => {
    const { code, stderr } = await curl(`smtp://127.0.0.1:${proxy.port('silent')}`, 'silent@postern.example')
    expect(code, stderr).not.toBe(0)
    await served.server.says(/connection closed: it came from --proxy-from.*no PROXY header within 5000 ms/)
  },
  30_000,
)

testWith(NEEDS, 'the health check of haproxy sends LOCAL and gets a greeting', async () => {
  await served.server.says(/"name":"check\.example"/)
  const { log } = served.server
  const hello = log.find((event) => event['name'] === 'check.example')
  const connected = log.find((event) => event.message === 'connected' && event['sessionId'] === hello?.['sessionId'])
  expect(connected).toMatchObject({ remote: PROXY })
  // HAProxy removes a server that fails its check. Mail goes through, so the check has passed.
  await sent('checked', 'smtp', 'ESMTP')
})

testWith(
  [CURL_PROXY, CURL_TLS],
  'curl --haproxy-protocol sends in clear, by STARTTLS and by implicit TLS',
  async () => {
    const ways: readonly [string, string, string[]][] = [
      [`smtp://127.0.0.1:${served.smtp}`, 'ESMTP', []],
      [`smtp://127.0.0.1:${served.smtp}`, 'ESMTPS', ['--ssl-reqd']],
      [`smtps://127.0.0.1:${served.smtps}`, 'ESMTPS', []],
    ]
    for (const [i, [url, by, flags]] of ways.entries()) {
      const to = `curl${i}@postern.example`
      const { code, stderr } = await curl(url, to, ['--haproxy-protocol', ...flags])
      expect(code, stderr).toBe(0)
      expect(protocolOf(await keptFor(served.store, to))).toBe(by)
    }
  },
)

testWith([CURL, CURL_PROXY], 'a client that is not a trusted proxy is served with its own address', async () => {
  const to = 'direct@postern.example'
  const { code, stderr } = await curl(`smtp://127.0.0.1:${served.smtp}`, to, ['--interface', CLIENT])
  expect(code, stderr).toBe(0)
  expect((await keptFor(served.store, to)).record.session.remote).toMatchObject({ address: CLIENT })
  const lying = ['--interface', CLIENT, '--haproxy-protocol']
  await curl(`smtp://127.0.0.1:${served.smtp}`, 'lying@postern.example', lying)
  await served.server.says(/"text":"500 5\.5\.1/)
})
