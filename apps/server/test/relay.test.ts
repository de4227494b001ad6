/** `--relay`: mail that users submit goes on to a smarthost, here another Postern. Reports come back to the users. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type MailRecord, mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { SmallDisk } from '../../../test/faults/tmpfs.ts'
import { TMPFS } from '../../../test/kit/abilities.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { type Script, startDnsServer } from '../../../test/kit/dns-server.ts'
import { testWith } from '../../../test/kit/need.ts'
import { freePort } from '../../../test/kit/port.ts'
import type { Command } from '../../../test/kit/commands.ts'
import { type MailServer, postern, serveMail } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

const PASSWORD = 'tiger'
const NXDOMAIN = 3
const PLAIN = (user: string): string => Buffer.from(`\0${user}\0${PASSWORD}`).toString('base64')

let far: MailServer
beforeAll(async () => {
  far = await serveMail({ store: join(temporaryDirectory(), 'far'), flags: ['--domains', 'far.example'] })
})
afterAll(() => far?.[Symbol.asyncDispose]())

async function kept(server: MailServer): Promise<readonly { readonly record: MailRecord; readonly text: string }[]> {
  const store = mailStore(fs(server.store))
  const { records } = await store.list({ limit: 1_000 })
  return Promise.all(
    records.map(async (record) => {
      const chunks: Uint8Array[] = []
      for await (const chunk of (await store.load(record.id)).body) chunks.push(chunk.slice())
      return { record, text: Buffer.concat(chunks).toString() }
    }),
  )
}

async function near(
  command?: Command,
  relay: string = `smtp://127.0.0.1:${far.port}`,
  more: readonly string[] = [],
  config?: string,
): Promise<MailServer> {
  const cwd = temporaryDirectory()
  if (config !== undefined) writeFileSync(join(cwd, 'postern.config.mjs'), config)
  await postern(['domain', 'add', 'near.example'], { cwd })
  await postern(['user', 'add', 'ann@near.example'], { cwd, input: `${PASSWORD}\n` })
  mkdirSync(join(cwd, 'mail'))
  const flags = ['--relay', relay, '--auth-without-tls', '--hostname', 'mx.near.example', ...more]
  return serveMail({ store: join(cwd, 'mail'), flags, cwd, ...(command !== undefined && { command }) })
}

async function submit(server: MailServer, to: readonly string[], parameters = ''): Promise<readonly number[]> {
  const client = await SocketClient.ready(server.port)
  await client.command(`AUTH PLAIN ${PLAIN('ann@near.example')}`, 235)
  await client.command(`MAIL FROM:<ann@near.example>${parameters}`, 250)
  const codes: number[] = []
  for (const address of to) codes.push((await client.command(`RCPT TO:<${address}>`)).code)
  await client.command('DATA', 354)
  codes.push((await client.command('From: ann@near.example\r\nSubject: onward\r\n\r\nhello\r\n.')).code)
  await client.quit()
  return codes
}

describe.each(RUNTIME_NAMES)('on %s', (runtime) => {
  test('mail of a user goes to the smarthost and to accounts here, and a refusal comes back as a report', async () => {
    const server = await near(RUNTIMES[runtime])
    const id = `${runtime}-${Date.now()}@far.example`
    const codes = await submit(server, [id, 'ann@near.example', 'x@nowhere.example'])
    expect(codes).toEqual([250, 250, 250, 250])
    await server.says(/"message":"message sent on".*"destination":"far\.example"/)
    await server.says(/"message":"message given up".*"destination":"nowhere\.example".*550 5\.7\.1/)
    await expect.poll(async () => (await kept(server)).length).toBe(2)
    const received = (await kept(far)).find(({ record }) => record.forwardPaths[0]?.address === id)
    expect(received?.text).toContain('\r\nSubject: onward\r\n')
    expect(received?.text).toMatch(/^Received: [^]*\r\nReceived: [^]*\r\n\r\nhello\r\n$/)
    const report = (await kept(server)).find(({ record }) => record.reversePath.address === '')
    expect(report?.record.forwardPaths[0]?.accounts).toEqual(['ann@near.example'])
    expect(report?.text).toContain('Final-Recipient: rfc822; x@nowhere.example')
    expect(await server.end('SIGTERM')).toBe(0)
  })
})

testWith([TMPFS], 'a queue on a full disk gets the client 452 4.3.1, and 250 once there is room', async () => {
  await using disk = await SmallDisk.mount('size=2m')
  const server = await near(RUNTIMES['node'], 'smtp://127.0.0.1:1', ['--queue', join(disk.path, 'queue')])
  const filler = join(disk.path, 'filler')
  const text = `From: ann@near.example\r\n\r\n${'x\r\n'.repeat(20_000)}.`
  const client = await SocketClient.ready(server.port)
  await client.command(`AUTH PLAIN ${PLAIN('ann@near.example')}`, 235)
  const sent = async (): Promise<string> => {
    await client.command('MAIL FROM:<ann@near.example>', 250)
    await client.command('RCPT TO:<joe@far.example>', 250)
    await client.command('DATA', 354)
    return (await client.command(text)).text
  }
  expect(await sent()).toMatch(/^250 /)
  try {
    writeFileSync(filler, Buffer.alloc(2 ** 21))
  } catch {}
  expect(await sent()).toMatch(/^452 4\.3\.1 Out of storage space/)
  rmSync(filler)
  expect(await sent()).toMatch(/^250 /)
  await client.quit()
  await server.says(/"message refused".*"452 4\.3\.1/)
  await server.end('SIGTERM')
})

describe('by MX', () => {
  const script: Script = ({ type, name }) => {
    // The resolver changes the case of letters at random.
    const asked = name.toLowerCase()
    if (asked === 'null.example' && type === 'MX') {
      return { answers: [{ type, name, ttl: 60, data: { preference: 0, exchange: '.' } }] }
    }
    if (asked === 'far.example' && type === 'MX') {
      const exchange = (host: string, preference: number): object => ({
        type,
        name,
        ttl: 60,
        data: { preference, exchange: host },
      })
      return { answers: [exchange('mx.far.example', 20), exchange('dead.far.example', 10)] as never }
    }
    // Nobody listens at the address of the first host.
    if (type === 'A' && asked === 'dead.far.example') return { answers: [{ type, name, ttl: 60, data: '127.0.0.9' }] }
    if (type === 'A' && asked === 'mx.far.example') return { answers: [{ type, name, ttl: 60, data: '127.0.0.1' }] }
    return asked.endsWith('far.example') ? { answers: [] } : { rcode: NXDOMAIN }
  }

  test.each(sample(RUNTIME_NAMES, 1))(
    'the second host gets what the first cannot, and failures of DNS are reported, on %s',
    async (runtime) => {
      await using dns = await startDnsServer(script)
      const server = await near(RUNTIMES[runtime], 'mx', [
        '--resolver',
        `udp://127.0.0.1:${dns.port}`,
        '--relay-mx-port',
        String(far.port),
      ])
      const to = `mx-${runtime}@far.example`
      expect(await submit(server, [to, 'x@null.example', 'x@gone.example'])).toEqual([250, 250, 250, 250])
      await server.says(/"message":"a server was passed over".*"host":"dead\.far\.example"/)
      await server.says(/"message":"message sent on".*"to":"mx-\w+@far\.example".*"host":"mx\.far\.example"/)
      await server.says(/"message":"message given up".*"destination":"null\.example".*556 5\.1\.10/)
      await server.says(/"message":"message given up".*"destination":"gone\.example".*550 5\.1\.2/)
      expect((await kept(far)).some(({ record }) => record.forwardPaths[0]?.address === to)).toBe(true)
    },
  )
})

/** A recipient with this name ends the worker that serves the session. */
const DEADLY = `export default { handlers: { rcpt({ localPart }) { if (localPart === 'exit') process.exit(3) } } }`

test.each(sample(RUNTIME_NAMES, 1))(
  'workers on %s queue mail that the main thread sends, and lose none when they die',
  async (runtime) => {
    const server = await near(RUNTIMES[runtime], undefined, ['--workers', '2'], DEADLY)
    const accepted: string[] = []
    const send = async (each: number): Promise<void> => {
      const to = `w${each}-${runtime}@far.example`
      // It rejects if the worker dies before it has answered.
      const codes = await submit(server, [to, 'ann@near.example']).catch((): readonly number[] => [])
      if (codes.at(-1) === 250) accepted.push(to)
    }
    for (let round = 0; round < 3; round++) {
      const sending = Promise.all(Array.from({ length: 8 }, (_, at) => send(8 * round + at)))
      await submit(server, ['exit@near.example']).catch(() => {})
      await sending
    }
    await server.says(/"message":"a worker ended and will be started again"/)
    expect(accepted.length).toBeGreaterThan(0)
    const arrived = async (): Promise<readonly string[]> =>
      (await kept(far)).flatMap(({ record }) => record.forwardPaths.map(({ address }) => address))
    await expect.poll(arrived).toEqual(expect.arrayContaining(accepted))
    const ours = (await arrived()).filter((address) => address.endsWith(`-${runtime}@far.example`))
    expect(new Set(ours).size).toBe(ours.length)
    // What is kept here and what is sent on are accepted together.
    expect((await kept(server)).length).toBeGreaterThanOrEqual(accepted.length)
    expect(await server.end('SIGTERM')).toBe(0)
  },
)

test('a stranger can relay nothing', async () => {
  const server = await near()
  const client = await SocketClient.ready(server.port)
  await client.command('MAIL FROM:<ann@near.example>', 250)
  expect((await client.command('RCPT TO:<x@far.example>')).code).toBe(550)
  expect((await client.command('RCPT TO:<ann@near.example>')).code).toBe(250)
  await client.quit()
})

test('mail waits in the queue while the smarthost is away, and goes on after a restart', async () => {
  const port = await freePort()
  const server = await near(undefined, `smtp://127.0.0.1:${port}`)
  expect(await submit(server, ['late@far.example'])).toEqual([250, 250])
  await server.says(/"message":"message waits for another attempt".*"dueAt"/)
  expect(await server.end('SIGTERM')).toBe(0)
})

test('a smarthost that says nothing is given up after --relay-timeout-ms', async () => {
  const sockets = new Set<Socket>()
  const silent = createServer((socket) => sockets.add(socket.on('error', () => {})))
  await new Promise<void>((listening) => {
    silent.listen(0, '127.0.0.1', listening)
  })
  try {
    const { port } = silent.address() as AddressInfo
    const server = await near(undefined, `smtp://127.0.0.1:${port}`, ['--relay-timeout-ms', '100ms'])
    expect(await submit(server, ['late@far.example'])).toEqual([250, 250])
    await server.says(/"message":"message waits for another attempt".*4\.4\.2 the server gave no whole reply in 100 ms/)
    expect(await server.end('SIGTERM')).toBe(0)
  } finally {
    for (const socket of sockets) socket.destroy()
    silent.close()
  }
})

test.each<[readonly string[], RegExp]>([
  [['--relay', 'http://x'], /^postern: --relay: "http:\/\/x" is not off, mx, or the URL of a server/],
  [
    ['--relay', 'http://ann:secret@x'],
    /^postern: --relay: the value \(not shown\) is not off, mx, or the URL of a server/,
  ],
  [
    ['--relay', 'smtp+starttls://ann:secret@smtp.example.net:99999'],
    /^postern: --relay: server URL: port "99999" is not a number from 1 to 65535; give a URL such as smtp\+starttls:\/\/user:password@/,
  ],
  [['--relay', 'smtps://ann@x'], /^postern: --relay: server URL: the user has no password; give a URL such as /],
  [['--relay-timeout-ms', '50ms'], /^postern: --relay-timeout-ms: "50ms" is not a time from 100ms to 1h/],
  [['--relay', 'smtp://127.0.0.1:2525'], /^postern: --relay: needs to know which mail is for this server/],
  [['--relay', 'smtp://127.0.0.1:2525', '--domains', 'a.example'], /^postern: --relay: needs a user who may send/],
])('%j is refused in one line', async (flags, said) => {
  const { code, stderr } = await postern(['serve', '--store', 'memory:', '--listen', 'smtp://127.0.0.1:0', ...flags])
  expect([code, stderr.trim().split('\n').length]).toEqual([2, 1])
  expect(stderr).toMatch(said)
})
