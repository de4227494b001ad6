/** `--verify`: the program finds out who sent a message, with a DNS server of the test. All clients come from 127.0.0.1. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type MailRecord, mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { type DnsServer, startDnsServer } from '../../../test/kit/dns-server.ts'
import { txtScene } from '../../../test/kit/own-resolver.ts'
import { type MailServer, postern, serveMail } from '../../../test/kit/postern.ts'
import { KEYS, recordsOf, signed } from '../../../packages/mail/test/trust/signed.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

const RECORDS = {
  'sender.example': 'v=spf1 ip4:127.0.0.1 -all',
  'evil.example': 'v=spf1 ip4:127.0.0.1 -all',
  '_dmarc.sender.example': 'v=DMARC1; p=reject',
  '_dmarc.soft.example': 'v=DMARC1; p=quarantine',
  ...recordsOf('sender.example', 'near.example'),
}
const FORGED = 'Authentication-Results: mx.postern.example; dmarc=pass header.from=bank.example\r\n'
const OTHER = 'Authentication-Results: mx.other.example; dmarc=fail\r\n'

let dns: Readonly<Record<'answering' | 'silent', DnsServer>>
beforeAll(async () => {
  dns = {
    answering: await startDnsServer(({ key, name, type }) => txtScene(RECORDS, key, name, type)),
    silent: await startDnsServer(() => undefined),
  }
})
afterAll(() => Promise.all(Object.values(dns).map((server) => server[Symbol.asyncDispose]())))

function start(
  flags: readonly string[],
  options: Partial<Parameters<typeof serveMail>[0]> = {},
  server: DnsServer = dns.answering,
): Promise<MailServer> {
  const resolver = ['--resolver', `udp://127.0.0.1:${server.port}`]
  return serveMail({ store: join(temporaryDirectory(), 'mail'), flags: [...resolver, ...flags], ...options })
}

function mailFrom(domain: string, fields = '', body = 'text'): string {
  return `${fields}From: ann@${domain}\r\nSubject: x\r\n\r\n${body}\r\n`
}

/** Sends a message. Returns the reply behind it. */
async function send(running: MailServer, message: string, reversePath = 'ann@sender.example'): Promise<string> {
  const client = await SocketClient.ready(running.port)
  await client.command(`MAIL FROM:<${reversePath}>`, 250)
  await client.command('RCPT TO:<c@example.com>', 250)
  await client.command('DATA', 354)
  const { text } = await client.command(`${message}.`)
  await client.quit()
  return text
}

async function kept(directory: string): Promise<readonly { readonly record: MailRecord; readonly text: string }[]> {
  const store = mailStore(fs(directory))
  const { records } = await store.list()
  return Promise.all(
    records.map(async (record) => ({
      record,
      text: Buffer.from(await (await store.load(record.id)).bytes()).toString('latin1'),
    })),
  )
}

describe.each(RUNTIME_NAMES)('on %s', (runtime) => {
  const command = RUNTIMES[runtime]

  test('a message has its verdicts on top and in its record, and fields that claim to be ours are removed', async () => {
    const running = await start(['--verify', 'tag'], { command })
    // More than the memory takes.
    const lines = 'a line of a long message\r\n'.repeat(80_000)
    const message = await signed(mailFrom('sender.example', FORGED + OTHER, lines), { selector: 'r' })
    expect(await send(running, FORGED + message)).toMatch(/^250 /)
    const [mail] = await kept(running.store)
    const { text = '', record } = mail ?? {}
    expect(text.slice(0, text.indexOf('Received: from'))).toBe(
      [
        'Authentication-Results: mx.postern.example;',
        '\tiprev=permerror policy.iprev=127.0.0.1;',
        '\tspf=pass smtp.mailfrom=sender.example;',
        '\tdkim=pass header.d=sender.example header.s=r header.a=rsa-sha256;',
        '\tdmarc=pass header.from=sender.example policy.dmarc=reject',
        '',
      ].join('\r\n'),
    )
    expect(text).toContain('\r\nDKIM-Signature:')
    const whole = message.replace(FORGED, '')
    expect(text.slice(-whole.length) === whole).toBe(true)
    expect(text).not.toContain('header.from=bank.example')
    expect(record?.verdicts).toMatchObject({
      spf: { result: 'pass', domain: 'sender.example' },
      dmarc: { result: 'pass', aligned: ['spf', 'dkim'] },
      sender: { domain: 'sender.example', by: 'dmarc' },
      removedClaims: 2,
    })
  })
})

test('mail is refused if the owner of its domain asks for that, or if From has two meanings', async () => {
  const running = await start(['--verify', 'reject'])
  expect(await send(running, mailFrom('sender.example'), 'x@evil.example')).toMatch(/^550 5\.7\.26 /)
  expect(await send(running, mailFrom('sender.example', 'From: ann@evil.example\r\n'))).toMatch(/^550 5\.7\.26 /)
  expect(await send(running, mailFrom('sender.example', `X: ${'y'.repeat(900)}\r\n`.repeat(300)))).toMatch(
    /^552 5\.3\.4 /,
  )
  expect(await kept(running.store)).toEqual([])
  await running.says(/"message":"message refused".*"reason":"verdicts"/)
  expect(running.log.filter(({ message }) => message === 'an error in a session')).toEqual([])
  expect(await send(running, mailFrom('soft.example'), 'x@evil.example')).toMatch(/^250 /)
  expect(await send(running, mailFrom('sender.example'))).toMatch(/^250 /)
  expect((await kept(running.store)).map(({ record }) => record.verdicts.dmarc?.result)).toEqual(['pass', 'fail'])
})

test('mail is kept in quarantine if the owner of its domain asks for that or for more, by each worker', async () => {
  const directory = join(temporaryDirectory(), 'quarantine')
  const running = await start(['--verify', 'quarantine', '--quarantine', `fs:${directory}`, '--workers', '2'])
  for (const domain of ['soft.example', 'sender.example', 'no-policy.example']) {
    expect(await send(running, mailFrom(domain), 'x@evil.example')).toMatch(/^250 /)
  }
  const authors = async (place: string): Promise<string[]> =>
    (await kept(place)).map(({ text }) => /From: ann@(\S+)/.exec(text)?.[1] ?? '')
  expect(await authors(directory)).toEqual(['sender.example', 'soft.example'])
  expect(await authors(running.store)).toEqual(['no-policy.example'])
  const [{ record } = { record: undefined }] = await kept(directory)
  expect(record?.verdicts).toMatchObject({ isQuarantined: true, sender: { domain: 'evil.example', by: 'spf' } })
})

test('mail in quarantine can be listed, and is released with all that its record says', async () => {
  const cwd = temporaryDirectory()
  const [quarantine, store] = ['quarantine', 'mail'].map((name) => join(cwd, name)) as [string, string]
  const running = await start(
    ['--verify', 'quarantine', '--quarantine', `fs:${quarantine}`, '--attachments', 'apart'],
    { store },
  )
  const body = `${'x'.repeat(70)}\r\n`.repeat(500)
  const fields = 'Content-Type: application/pdf; name=a.pdf\r\n'
  expect(await send(running, mailFrom('soft.example', fields, body), 'x@evil.example')).toMatch(/^250 /)
  const [held] = await kept(quarantine)
  const before = held?.record as MailRecord
  const { id } = before
  const listed = await postern(['list', '--store', `fs:${quarantine}`, '--json'])
  expect(JSON.parse(listed.stdout)).toMatchObject({ records: [{ id, verdicts: { isQuarantined: true } }] })

  const flags = ['--quarantine', `fs:${quarantine}`, '--store', `fs:${store}`, '--attachments', 'apart']
  const released = await postern(['release', ...flags.slice(0, 4), id, 'nonsense'])
  expect([released.stdout, released.stderr, released.code]).toEqual([
    `released ${id}\n`,
    'postern: "nonsense" is not a message id\n',
    2,
  ])
  const [mail] = await kept(store)
  const { isQuarantined, ...verdicts } = before.verdicts
  expect(isQuarantined).toBe(true)
  const { attachments, ...record } = (mail as { record: MailRecord }).record
  expect({ ...record, attachments: before.attachments }).toEqual({ ...before, verdicts })
  expect([attachments, mail?.text]).toEqual([undefined, held?.text])
  expect(await kept(quarantine)).toEqual([])
  const again = await postern(['release', ...flags.slice(0, 4), id])
  expect([again.stderr, again.code]).toEqual([`postern: "${id}": there is no such message\n`, 1])
  const nowhere = await postern(['release', '--store', `fs:${store}`, id])
  expect([nowhere.stderr, nowhere.code]).toEqual([
    'postern: --quarantine: name the store of the quarantine, such as fs:./quarantine\n',
    2,
  ])
})

test('mail is accepted with temporary errors if DNS is silent', async () => {
  const running = await start(['--verify', 'reject', '--verify-timeout-ms', '200'], {}, dns.silent)
  expect(await send(running, mailFrom('sender.example'))).toMatch(/^250 /)
  const [mail] = await kept(running.store)
  expect(mail?.record.verdicts).toMatchObject({ spf: { result: 'temperror' }, dmarc: { result: 'temperror' } })
  expect(mail?.record.verdicts).not.toHaveProperty('sender')
})

test('the data hook sees the verdicts, reads the message behind them, and can refuse it', async () => {
  const cwd = temporaryDirectory()
  const config = `export default ({ reply }) => ({
    verify: 'tag',
    handlers: {
      async data(message) {
        const { sender } = message.verdicts
        if (sender === undefined) return reply(550, '5.7.1', 'Nobody is proved')
        const text = Buffer.from(await message.bytes()).toString()
        return reply(250, '2.0.0', sender.domain + ' by ' + sender.by + ' ' + text.length)
      },
    },
  })`
  writeFileSync(join(cwd, 'postern.config.mjs'), config)
  const running = await start([], { cwd, store: join(cwd, 'mail') })
  const message = mailFrom('sender.example')
  expect(await send(running, message)).toBe(`250 2.0.0 sender.example by dmarc ${message.length}`)
  expect(await send(running, mailFrom('nobody.example'), 'x@nobody.example')).toBe('550 5.7.1 Nobody is proved')
})

test('mail that a rule keeps and forwards has its verdicts in both places', async () => {
  const sink = await serveMail({ store: join(temporaryDirectory(), 'sink') })
  const cwd = temporaryDirectory()
  const rules = [{ for: 'c@example.com', do: ['keep', { forward: 'd@elsewhere.example' }] }]
  const relay = { relay: `smtp://127.0.0.1:${sink.port}`, domains: ['example.com'] }
  writeFileSync(join(cwd, 'postern.config.json'), JSON.stringify({ verify: 'tag', rules, ...relay }))
  const running = await start([], { cwd, store: join(cwd, 'mail') })
  expect(await send(running, mailFrom('sender.example', FORGED))).toMatch(/^250 /)
  expect((await kept(running.store)).map(({ record }) => record.verdicts)).toMatchObject([
    { sender: { domain: 'sender.example', by: 'dmarc' }, removedClaims: 1 },
  ])
  await sink.says(/"message":"message kept"/)
  const [{ text } = { text: '' }] = await kept(sink.store)
  expect(text).toContain('\r\n\tdmarc=pass header.from=sender.example')
  expect(text).not.toContain('header.from=bank.example')
})

test.each(RUNTIME_NAMES)(
  'on %s, a forwarded message has our verdicts in its seal, and a server that trusts us believes them',
  async (runtime) => {
    const command = RUNTIMES[runtime]
    const trusting = await start(['--verify', 'reject', '--trusted-sealers', 'near.example'], { command })
    const cwd = temporaryDirectory()
    mkdirSync(join(cwd, 'dkim'))
    writeFileSync(join(cwd, 'dkim', 'near.example.r.pem'), KEYS.r.pem, { mode: 0o600 })
    const rules = [{ for: 'c@near.example', do: { forward: 'd@elsewhere.example' } }]
    const relay = { relay: `smtp://127.0.0.1:${trusting.port}`, domains: ['near.example'] }
    writeFileSync(join(cwd, 'postern.config.json'), JSON.stringify({ verify: 'tag', rules, ...relay }))
    const running = await start([], { command, cwd, store: join(cwd, 'mail') })
    // Only SPF proves it here, and behind us SPF proves nothing.
    const client = await SocketClient.ready(running.port)
    await client.command('MAIL FROM:<ann@sender.example>', 250)
    await client.command('RCPT TO:<c@near.example>', 250)
    await client.command('DATA', 354)
    await client.command(`${mailFrom('sender.example')}.`, 250)
    await client.quit()
    await expect.poll(async () => (await kept(trusting.store)).length, { timeout: 30_000 }).toBe(1)
    const [{ record, text } = { record: undefined, text: '' }] = await kept(trusting.store)
    const seal = /^ARC-Authentication-Results:[^]*?(?=\r\n\S)/m.exec(text)?.[0].replaceAll(/\r\n\s+/g, ' ')
    expect(seal).toMatch(
      /^ARC-Authentication-Results: i=1; mx\.postern\.example; .*spf=pass smtp\.mailfrom=sender\.example;.* dmarc=pass header\.from=sender\.example/,
    )
    expect(record?.verdicts).toMatchObject({
      arc: { result: 'pass', sets: 1, sealer: 'near.example' },
      dmarc: { result: 'fail' },
      sender: { domain: 'sender.example', by: 'arc' },
    })
  },
)

test('the mail of a user who has logged in is not checked, and no sender can be forged in it', async () => {
  const cwd = temporaryDirectory()
  const config = `export default {
    verify: 'reject',
    authWithoutTls: true,
    acceptAnyLogin: 'loopback',
  }`
  writeFileSync(join(cwd, 'postern.config.mjs'), config)
  const running = await start([], { cwd, store: join(cwd, 'mail') })
  const client = await SocketClient.ready(running.port)
  const login = Buffer.from('\0ann@ours.example\0secret').toString('base64')
  await client.command(`AUTH PLAIN ${login}`, 235)
  await client.command('MAIL FROM:<ann@sender.example>', 250)
  await client.command('RCPT TO:<c@example.com>', 250)
  await client.command('DATA', 354)
  await client.command(`${mailFrom('sender.example', FORGED)}.`, 250)
  await client.quit()
  const [mail] = await kept(running.store)
  expect(mail?.record.verdicts).toEqual({ sender: { domain: 'ours.example', by: 'auth' }, removedClaims: 1 })
  expect(mail?.text).toMatch(/^Authentication-Results: mx\.postern\.example;\r\n\tauth=pass\r\nReceived: /)
})

test.each([
  [['--verify', 'quarantine'], /^postern: --verify quarantine: needs a store for that mail: give --quarantine fs:/],
  [['--quarantine', 'fs:./q'], /^postern: --quarantine: needs --verify quarantine$/],
  [['--verify', 'maybe'], /^postern: --verify: "maybe" is not one of off, tag, quarantine, reject$/],
  [['--verify', 'tag', '--verify-timeout-ms', '1m'], /^postern: --verify-timeout-ms: 1m is more than a twentieth of/],
  [['--trusted-sealers', 'no domain'], /^postern: --trusted-sealers: "no domain" is not a domain/],
])('%j is refused in one line', async (flags, line) => {
  const { code, stderr } = await postern(['serve', '--store', 'memory:', '--listen', 'smtp://127.0.0.1:0', ...flags])
  expect([code, stderr.trim()]).toEqual([2, expect.stringMatching(line)])
})
