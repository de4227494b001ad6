/** `--reverse-dns`: the program asks a DNS server of the test about its clients, which all come from 127.0.0.1. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test as every } from 'vitest'
import { mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { type DnsServer, type Script, startDnsServer } from '../../../test/kit/dns-server.ts'
import { type MailServer, postern, posternOver, serveMail } from '../../../test/kit/postern.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'
import { partly } from '../../../test/kit/partly.ts'

/** Each run makes one in two of the tests without a table. */
const test = partly(every)

const NAME = 'mail.example.net'

/** The address has a name, and the name has the address. */
const named: Script = ({ type, name }) => {
  if (type === 'PTR') return { answers: [{ type, name, ttl: 60, data: NAME }] }
  return { answers: [{ type: 'A', name, ttl: 60, data: '127.0.0.1' }] }
}
/** The name has another address. */
const stolen: Script = (query) => {
  const scene = named(query)
  return query.type === 'PTR' ? scene : { answers: [{ type: 'A', name: query.name, ttl: 60, data: '192.0.2.1' }] }
}

let servers: Readonly<Record<'named' | 'stolen' | 'silent', DnsServer>>
beforeAll(async () => {
  servers = {
    named: await startDnsServer(named),
    stolen: await startDnsServer(stolen),
    silent: await startDnsServer(() => undefined),
  }
})
afterAll(() => Promise.all(Object.values(servers).map((server) => server[Symbol.asyncDispose]())))

const udp = ({ port }: DnsServer): string => `udp://127.0.0.1:${port}`

function start(flags: readonly string[], options: Partial<Parameters<typeof serveMail>[0]> = {}): Promise<MailServer> {
  return serveMail({ store: join(temporaryDirectory(), 'mail'), flags, ...options })
}

/** Sends a message. Returns the first line of what is stored, and what the record says. */
async function send(running: MailServer): Promise<{ readonly trace: string; readonly reverseDns: unknown }> {
  const client = await SocketClient.ready(running.port)
  await client.command('MAIL FROM:<a@b.example>', 250)
  await client.command('RCPT TO:<c@example.com>', 250)
  await client.command('DATA', 354)
  await client.command('Subject: x\r\n\r\nx\r\n.', 250)
  await client.quit()
  const store = mailStore(fs(running.store))
  const [record] = (await store.list()).records
  const { body } = await store.load(record?.id ?? '')
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk.slice())
  const [trace = ''] = Buffer.concat(chunks).toString().split('\r\n')
  return { trace, reverseDns: record?.session.reverseDns }
}

describe.each(RUNTIME_NAMES)('on %s', (runtime) => {
  const command = RUNTIMES[runtime]

  test('the confirmed name of a client is in the trace header, the record and the log', async () => {
    const running = await start(['--reverse-dns', '--resolver', udp(servers.named)], { command })
    const { trace, reverseDns } = await send(running)
    expect(trace).toMatch(/^Received: from \S+ \(mail\.example\.net \[127\.0\.0\.1\]\)/)
    expect(reverseDns).toEqual({ result: 'pass', name: NAME })
    await running.says(/"message":"message kept".*"remote":"127\.0\.0\.1".*"remoteName":"mail\.example\.net"/)
  })

  test('a client is unknown if no server answers, and its mail is accepted', async () => {
    const flags = ['--reverse-dns', '--resolver', udp(servers.silent), '--reverse-dns-timeout-ms', '200']
    const running = await start([...flags, '--log-level', 'debug'], { command })
    const { trace, reverseDns } = await send(running)
    expect(trace).toMatch(/^Received: from \S+ \(unknown \[127\.0\.0\.1\]\)/)
    expect(reverseDns).toEqual({ result: 'temperror', name: 'unknown' })
    await running.says(/"message":"no name for a client".*"reason":/)
    await running.says(/"message":"connected".*"remoteName":"unknown"/)
  })
})

test('a server over HTTPS is asked in the same way, and before the next one', async () => {
  const running = await start(['--reverse-dns', '--resolver', `${servers.named.url},${udp(servers.stolen)}`])
  expect((await send(running)).reverseDns).toEqual({ result: 'pass', name: NAME })
})

test('a client is unknown if its name has other addresses', async () => {
  const running = await start(['--reverse-dns', '--resolver', udp(servers.stolen)])
  const { trace, reverseDns } = await send(running)
  expect(trace).toMatch(/\(unknown \[127\.0\.0\.1\]\)/)
  expect(reverseDns).toEqual({ result: 'fail', name: 'unknown' })
})

test('the hooks of a config file see the name, and each worker looks it up', async () => {
  const cwd = temporaryDirectory()
  const config = `export default ({ reply }) => ({
    workers: 2,
    handlers: { connect: ({ reverseDns }) => reply(554, '5.7.1', 'You are ' + reverseDns.name + ', ' + reverseDns.result) },
  })`
  writeFileSync(join(cwd, 'postern.config.mjs'), config)
  const flags = ['--reverse-dns', '--resolver', udp(servers.named)]
  const running = await serveMail({ store: join(cwd, 'mail'), flags, cwd })
  for (let round = 0; round < 4; round++) {
    const client = await SocketClient.connect(running.port)
    expect((await client.reply()).text).toBe(`554 5.7.1 You are ${NAME}, pass`)
    client.end()
  }
  await running.says(/"message":"refused".*"remoteName":"mail\.example\.net"/)
})

test('nobody is asked without the option', async () => {
  await using server = await startDnsServer(named)
  const running = await start(['--resolver', udp(server)])
  const { trace, reverseDns } = await send(running)
  expect([reverseDns, server.queries]).toEqual([undefined, []])
  expect(trace).toMatch(/^Received: from \S+ \(\[127\.0\.0\.1\]\)/)
})

test('`postern show` shows the name', async () => {
  const running = await start(['--reverse-dns', '--resolver', udp(servers.stolen)])
  await send(running)
  const [record] = (await mailStore(fs(running.store)).list()).records
  const { stdout } = await posternOver(running.store, ['show', record?.id ?? ''])
  expect(stdout).toMatch(/^Reverse DNS +unknown \(fail\)$/m)
})

test('the servers of this machine are asked by default', async () => {
  // Nobody connects, so none of them is asked here.
  const running = await start(['--reverse-dns', '--log-level', 'debug'])
  expect(running.log.map(({ message }) => message)).toContain('serving')
})

test('Deno has to allow what is asked, and one line says what is missing', async () => {
  const permissions = ['--allow-read', '--allow-env', '--allow-sys', '--allow-net=127.0.0.1']
  const command = [RUNTIMES.deno[0], 'run', '--no-prompt', ...permissions] as const
  const resolver = ['--resolver', 'udp://192.0.2.1,https://dns.example/dns-query']
  const { code, stderr } = await postern(['serve', '--store', 'memory:', '--reverse-dns', ...resolver], { command })
  expect(stderr).toBe(
    'postern: --reverse-dns: Deno needs --allow-net=192.0.2.1:53,0.0.0.0:0,dns.example:443 to ask DNS servers\n',
  )
  expect(code).toBe(2)
})

test.each([
  [['--resolver', 'ns.example'], 'postern: --resolver: "ns.example" is not the URL of a DNS server'],
  [['--resolver', 'udp://ns.example:53'], 'postern: --resolver: "udp://ns.example:53" is not the URL of a DNS server'],
  [['--resolver', 'http://dns.example/'], 'postern: --resolver: "http://dns.example/" is not the URL of a DNS server'],
  [['--resolver', 'udp://127.0.0.1:0'], 'postern: --resolver: "udp://127.0.0.1:0" is not the URL of a DNS server'],
  [['--reverse-dns-timeout-ms', '0'], 'postern: --reverse-dns-timeout-ms: "0" is not a time'],
  [
    ['--reverse-dns', '--hook-timeout-ms', '5s'],
    'postern: --reverse-dns-timeout-ms: 5s is not less than --hook-timeout-ms, which is 5s',
  ],
])('%j is refused with one line', async (flags, message) => {
  const { code, stderr } = await postern(['serve', '--listen', 'smtp://127.0.0.1:0', ...flags])
  expect(stderr.trim().split('\n')).toEqual([expect.stringContaining(message)])
  expect(code).toBe(2)
})
