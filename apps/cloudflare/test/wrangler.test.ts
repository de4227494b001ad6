/** The four entry points of the Worker in `wrangler dev`, with mail in R2. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import MailComposer from 'nodemailer/lib/mail-composer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cleanEnvironment, Postern } from '../../../test/kit/postern.ts'
import { difference, idIn } from '../../../test/peers/store.ts'
import { type DnsServer, startDnsServer } from '../../../test/kit/dns-server.ts'
import { SWAKS } from '../../../test/kit/abilities.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { testWith } from '../../../test/kit/need.ts'
import { mustRun } from '../../../test/kit/tool.ts'
import { FRONT_SECRET, keptIds, READ_TOKEN, readAttachment, readKept } from './reading.ts'
import { FROM, message, send, TO } from './sending.ts'
import { startWrangler, type Wrangler } from './wrangler.ts'

let wrangler: Wrangler
let dns: DnsServer
beforeAll(async () => {
  dns = await startDnsServer(({ type, name }) => {
    if (type === 'PTR') return { answers: [{ type, name, ttl: 600, data: 'client.example.net' }] }
    return { answers: [{ type: 'A', name, ttl: 600, data: '127.0.0.1' }] }
  })
  wrangler = await startWrangler({
    POSTERN_REVERSE_DNS: 'true',
    POSTERN_RESOLVER: dns.url,
    POSTERN_PROXY_FROM: 'binding',
    POSTERN_ATTACHMENTS: 'apart',
  })
})
afterAll(async () => {
  await wrangler?.[Symbol.asyncDispose]()
  await dns?.[Symbol.asyncDispose]()
})

function expectBytes(got: Buffer, wanted: Buffer): void {
  expect(difference(got, wanted)).toBeUndefined()
}

describe('connect()', () => {
  test.each([1_000, 10 * 1024 * 1024])('nodemailer: %i bytes', async (byteLength) => {
    const raw = message(byteLength)
    const { record, bytes, trace } = await readKept(wrangler.http, await send(wrangler.smtp, raw))
    expectBytes(bytes, raw)
    expect(record.session.remote).toMatchObject({ family: 'ipv4', address: '127.0.0.1' })
    expect(record.session.transmissionType).toBe('ESMTP')
    expect(record.reversePath.address).toBe(FROM)
    expect(record.forwardPaths.map(({ address }) => address)).toEqual([TO])
    expect(trace).toContain('by mx.example.com with ESMTP')
  })

  test('clients are named by DNS over HTTPS, and the answers are kept for later ones', async () => {
    const ids = await Promise.all([1, 2, 3].map(() => send(wrangler.smtp, message())))
    const before = dns.queries.length
    for (const id of [...ids, await send(wrangler.smtp, message())]) {
      const { record, trace } = await readKept(wrangler.http, id)
      expect(record.session.reverseDns).toEqual({ result: 'pass', name: 'client.example.net' })
      expect(trace).toContain('(client.example.net [127.0.0.1])')
    }
    expect([dns.queries.length, new Set(dns.queries.map(({ carrier }) => carrier))]).toEqual([
      before,
      new Set(['http']),
    ])
  })

  testWith([SWAKS], 'swaks', async () => {
    const server = `127.0.0.1:${wrangler.smtp}`
    const { stdout } = await mustRun('swaks', ['--server', server, '--from', FROM, '--to', TO, '--body', 'by swaks'])
    const { bytes } = await readKept(wrangler.http, idIn(stdout.toString()))
    expect(bytes.toString()).toContain('\r\n\r\nby swaks\r\n')
    // Workerd's STARTTLS is not on here, so the Worker does not offer it.
    expect(stdout.toString()).not.toContain('STARTTLS')
  })

  test.each([
    ['nobody@example.com', /550 5\.1\.1 No such mailbox/],
    ['busy@example.com', /451 4\.7\.1/],
    ['bob@elsewhere.example', /550 5\.7\.1 No mail is taken for this domain/],
  ])('%s is refused', async (to, reply) => {
    await expect(send(wrangler.smtp, message(), { to })).rejects.toThrow(reply)
  })
})

test('large attachments are objects of their own, for TCP and for Email Routing, and the owner of the token reads them', async () => {
  const [image, letter] = [randomBytes(6 * 1024 * 1024), Buffer.from('Ein Brief: naïve\n'.repeat(2_000))]
  const composer = new MailComposer({
    from: FROM,
    to: TO,
    text: 'See below.',
    attachments: [
      { filename: 'Bild.png', content: image },
      { filename: 'letter.txt', content: letter },
      { filename: 'note.txt', content: 'short' },
    ],
  })
  const raw = await composer.compile().build()
  const query = new URLSearchParams({ from: FROM, to: TO }).toString()
  const body = new Uint8Array(raw)
  const routed = await fetch(`http://127.0.0.1:${wrangler.http}/cdn-cgi/local/email?${query}`, { method: 'POST', body })
  expect(routed.status).toBe(200)
  const [newest = ''] = await keptIds(wrangler.http)
  for (const id of [newest, await send(wrangler.smtp, raw)]) {
    const { record, bytes } = await readKept(wrangler.http, id)
    expectBytes(bytes, raw)
    expect(record.attachments).toMatchObject([
      { section: '2', fileName: 'Bild.png', type: 'image/png', size: image.length },
      { section: '3', fileName: 'letter.txt', type: 'text/plain', size: letter.length },
    ])
    for (const [section, wanted] of [['2', image] as const, ['3', letter] as const]) {
      const answer = await readAttachment(wrangler.http, id, section)
      expectBytes(Buffer.from(await answer.arrayBuffer()), wanted)
      expect(answer.headers.get('content-disposition')).toBe('attachment')
    }
    expect((await readAttachment(wrangler.http, id, '4')).status).toBe(404)
  }
})

describe('email()', () => {
  /** Sends a message to Cloudflare's own `email` entry, on this machine. */
  async function route(raw: Buffer, to = TO, from = FROM): Promise<Response> {
    const query = new URLSearchParams({ from, to }).toString()
    const url = `http://127.0.0.1:${wrangler.http}/cdn-cgi/local/email?${query}`
    return fetch(url, { method: 'POST', body: new Uint8Array(raw) })
  }

  test.each([1_000, 10 * 1024 * 1024])('%i bytes are stored unchanged', async (byteLength) => {
    const raw = message(byteLength)
    const response = await route(raw)
    expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('successfully')])
    const [newest] = await keptIds(wrangler.http)
    const { record, bytes, trace } = await readKept(wrangler.http, newest ?? '')
    expectBytes(bytes, raw)
    expect(record.session.remote).toEqual({ family: 'unknown', address: '', port: 0 })
    expect(record.session.tls).toBeUndefined()
    expect(record.reversePath.address).toBe(FROM)
    expect(record.forwardPaths.map(({ address }) => address)).toEqual([TO])
    expect(trace).toContain('by mx.example.com with ESMTP')
  })

  test.each([
    ['an unknown recipient', 'nobody@example.com', FROM, 400, '5.1.1 No such mailbox'],
    [
      'a recipient that the unchanged policy does not accept',
      'bob@elsewhere.example',
      FROM,
      400,
      '5.7.1 No mail is taken',
    ],
    ['a sender that the policy bans', TO, 'banned@sender.example', 400, '5.7.1 You are not welcome'],
    ['a recipient with a temporary reply', 'busy@example.com', FROM, 500, ''],
    ['a message with a temporary reply', 'full@example.com', FROM, 500, ''],
    ['an invalid address', 'bob', FROM, 400, '5.1.3'],
    ['a second command in an address', 'bob@example.com>\r\nRSET', FROM, 400, '5.1.3'],
  ])('%s is refused', async (_, to, from, status, reason) => {
    const before = await keptIds(wrangler.http)
    const response = await route(message(), to, from)
    expect(response.status).toBe(status)
    expect(await response.text()).toContain(reason)
    expect(await keptIds(wrangler.http)).toEqual(before)
  })

  test('a message over the size limit is refused permanently', async () => {
    const response = await route(message(12_000_100))
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('5.3.4')])
  })
})

describe('the pipe', () => {
  function front(secret: string): Promise<Postern> {
    const flags = ['--listen', 'smtp://127.0.0.1:0', '--self-signed', '--log-format', 'json', '--front-secret', secret]
    return new Postern(['front', ...flags, '--to', `ws://127.0.0.1:${wrangler.http}/pipe`]).serving()
  }

  test("mail through a front has TLS, the client's address and the same bytes", async () => {
    await using running = await front(FRONT_SECRET)
    const raw = message(10 * 1024 * 1024)
    const options = { requireTLS: true, tls: { rejectUnauthorized: false } }
    const { record, bytes } = await readKept(wrangler.http, await send(running.port, raw, options))
    expectBytes(bytes, raw)
    expect(record.session.remote).toMatchObject({ family: 'ipv4', address: '127.0.0.1' })
    expect(record.session.tls?.protocol).toBe('TLSv1.3')
    expect(record.session.transmissionType).toBe('ESMTPS')
  })

  test('a front with another secret is rejected', async () => {
    await using running = await front('x'.repeat(40))
    await expect(send(running.port, message())).rejects.toThrow(/421/)
  })
})

describe('a service binding', () => {
  test('serves a socket with the given client address', async () => {
    const raw = message(100_000)
    const { record, bytes } = await readKept(wrangler.http, await send(wrangler.gate, raw))
    expectBytes(bytes, raw)
    expect(record.session.remote).toEqual({ family: 'ipv6', address: '2001:db8::7', port: 40_123 })
  })

  test.each([
    ['PROXY UNKNOWN', { family: 'unknown', address: '', port: 0 }],
    ['PROXY TCP4 192.0.2.7 192.0.2.1 4711 25', { family: 'ipv4', address: '192.0.2.7', port: 4711 }],
  ])('serves a connection that another Worker opens, for the client of the header %s', async (header, remote) => {
    using client = await SocketClient.connect(wrangler.plain)
    await client.send(`${header}\r\n`)
    await client.expect(220)
    for (const line of ['EHLO a.example', `MAIL FROM:<${FROM}>`, `RCPT TO:<${TO}>`]) await client.command(line, 250)
    await client.command('DATA', 354)
    await client.send('A: b\r\n\r\nhi\r\n.\r\n')
    const { record } = await readKept(wrangler.http, idIn((await client.expect(250)).raw))
    expect(record.session.remote).toEqual(remote)
  })

  test('closes a connection of another Worker that begins without a header', async () => {
    using client = await SocketClient.connect(wrangler.plain)
    await client.send('EHLO a.example\r\n')
    expect(await client.repliesToEnd()).toEqual([])
  })
})

test('the Worker can be deployed unchanged, and its bundle is small', async () => {
  const args = ['deploy', '--dry-run', '--config', join(import.meta.dirname, '../wrangler.jsonc')]
  const { stdout } = await mustRun('wrangler', args, { env: { ...cleanEnvironment(), WRANGLER_SEND_METRICS: 'false' } })
  const [, kibibytes] = /gzip: ([\d.]+) KiB/.exec(stdout.toString()) ?? []
  expect(Number(kibibytes)).toBeLessThan(184)
})

describe('fetch()', () => {
  const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${wrangler.http}${path}`, { headers })

  test('answers /health to everybody, and everything else only with a token', async () => {
    expect(await (await get('/health')).json()).toEqual({ status: 'ok' })
    for (const [path, status] of [
      ['/', 404],
      ['/mail', 401],
      ['/mail/01M7YXSTY36EA7Q5GSA20FN17B/raw', 401],
      ['/pipe', 426],
    ] as const) {
      expect([path, (await get(path)).status]).toEqual([path, status])
    }
    expect((await get('/mail', { authorization: `Bearer ${READ_TOKEN}x` })).status).toBe(401)
    const token = { authorization: `Bearer ${READ_TOKEN}` }
    for (const [path, status] of [
      ['/mail/01M7YXSTY36EA7Q5GSA20FN17B/raw', 404],
      ['/mail/nothing', 404],
      ['/mail?limit=0', 400],
      ['/mail?limit=501', 400],
      ['/mail?cursor=../../mail', 404],
    ] as const) {
      expect([path, (await get(path, token)).status]).toEqual([path, status])
    }
  })

  test('HEAD returns the size of a message without reading it', async () => {
    const id = await send(wrangler.smtp, message())
    const { record } = await readKept(wrangler.http, id)
    const headers = { authorization: `Bearer ${READ_TOKEN}` }
    const response = await fetch(`http://127.0.0.1:${wrangler.http}/mail/${id}/raw`, { method: 'HEAD', headers })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-length')).toBe(String(record.size))
    expect(response.headers.get('cache-control')).toBe('no-store')
  })
})

describe('scheduled()', () => {
  test.each(['2026-11-21T03:17:00Z', '2026-11-21T04:17:00Z'])(
    'only the newest messages are kept, at %s',
    async (time) => {
      const ids: string[] = []
      for (let i = 0; i < 4; i++) ids.push(await send(wrangler.smtp, message()))
      const query = `cron=17+*+*+*+*&time=${Date.parse(time)}`
      const response = await fetch(`http://127.0.0.1:${wrangler.http}/cdn-cgi/local/scheduled?${query}`)
      expect([response.status, await response.text()]).toEqual([200, 'ok'])
      expect(await keptIds(wrangler.http)).toEqual(ids.slice(-3).toReversed())
      for (const id of ids.slice(-3)) await readKept(wrangler.http, id)
      expect(wrangler.running.output).toMatch(/removed mail past the retention limits/)
    },
  )
})
