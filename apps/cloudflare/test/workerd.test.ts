/** The Worker in raw workerd: TLS in both ways, and mail that is on the disk when it was answered with 250. */
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { cleanEnvironment, postern } from '../../../test/kit/postern.ts'
import { scramClient } from '../../../test/kit/scram.ts'
import { makeCertificate } from '../../../test/peers/served.ts'
import { difference } from '../../../test/peers/store.ts'
import { sample } from '../../../test/kit/sample.ts'
import { Scratch } from '../../../test/kit/scratch.ts'
import { OPENSSL, ROOT, STRACE } from '../../../test/kit/abilities.ts'
import { testWith } from '../../../test/kit/need.ts'
import { mustRun, runTool } from '../../../test/kit/tool.ts'
import { WRONG_SETTINGS } from '../../../packages/worker/test/wrong-settings.ts'
import { keptIds, readKept } from './reading.ts'
import { Daemon } from '../../../test/kit/daemon.ts'
import { FROM, message, send, TO } from './sending.ts'
import { START, startWorkerd, type Workerd } from './workerd.ts'

/** The part of Hono that is used here. The file itself is compiled with the types of workerd. */
let scratch: Scratch
let workerd: Workerd
let ca: string
let caFile: string

beforeAll(async () => {
  scratch = await Scratch.make()
  const certificate = await makeCertificate(scratch)
  caFile = certificate.caFile
  ca = await readFile(caFile, 'utf8')
  workerd = await startWorkerd({ directory: scratch.join('mail'), keyFile: certificate.keyFile, certFile: caFile })
})
afterAll(async () => {
  await workerd?.[Symbol.asyncDispose]()
  await scratch?.[Symbol.asyncDispose]()
})

/** Opens the database that holds the mail. */
async function databaseIn(directory: string): Promise<DatabaseSync> {
  const files = await readdir(directory, { recursive: true })
  return new DatabaseSync(join(directory, files.find((file) => /[0-9a-f]{64}\.sqlite$/.test(file)) ?? ''))
}

const tls = (): { ca: string; servername: string } => ({ ca, servername: 'localhost' })

describe('raw workerd', () => {
  test.each([
    ['in clear', 1_000],
    ['STARTTLS', 1_000],
    ['implicit TLS', 1_000],
    ...sample<[string, number]>(
      [
        ['STARTTLS', 10 * 1024 * 1024],
        ['implicit TLS', 10 * 1024 * 1024],
      ],
      1,
    ),
  ])('nodemailer, %s: %i bytes', async (how, byteLength) => {
    const raw = message(byteLength)
    const options = {
      'in clear': { ignoreTLS: true },
      STARTTLS: { requireTLS: true, tls: tls() },
      'implicit TLS': { secure: true, tls: tls() },
    }[how]
    const id = await send(how === 'implicit TLS' ? workerd.smtps : workerd.smtp, raw, options)
    const { record, bytes } = await readKept(workerd.http, id)
    expect(difference(bytes, raw)).toBeUndefined()
    expect(record.session.transmissionType).toBe(how === 'in clear' ? 'ESMTP' : 'ESMTPS')
    expect(record.session.remote).toMatchObject({ family: 'ipv4', address: '127.0.0.1' })
  })

  test('refusals are logged, up to a bound for each session', async () => {
    const all = (): string[] => workerd.running.output.match(/\{"message":"refused".*\}/g) ?? []
    const before = all().length
    using client = await SocketClient.ready(workerd.smtp)
    await client.command('MAIL FROM:<ann@sender.example>', 250)
    for (let n = 0; n < 30; n++) await client.command(`RCPT TO:<bob${n}@elsewhere.example>`, 550)
    await client.quit()
    const lines = (): string[] => all().slice(before)
    await vi.waitFor(() => expect(lines()).toHaveLength(20), { timeout: 5_000 })
    expect(JSON.parse(lines()[0] ?? '')).toMatchObject({
      verb: 'RCPT',
      reply: expect.stringMatching(/^550 5\.7\.1 /),
      remote: '127.0.0.1',
    })
    expect(JSON.parse(lines().at(-1) ?? '')).toMatchObject({ note: expect.stringContaining('not logged') })
  })

  for (const version of ['tls1_2', 'tls1_3']) {
    testWith([OPENSSL], `openssl, STARTTLS by ${version}, then a session`, async () => {
      const address = `127.0.0.1:${workerd.smtp}`
      const flags = ['-starttls', 'smtp', `-${version}`, '-CAfile', caFile, '-verify_return_error', '-quiet', '-crlf']
      const input = 'EHLO client.example\nMAIL FROM:<a@b.example>\nRCPT TO:<u@example.com>\nRSET\nQUIT\n'
      const { stdout } = await mustRun('openssl', ['s_client', '-connect', address, ...flags, '-ign_eof'], { input })
      expect(stdout.toString()).toMatch(/250 2\.1\.5 [^]*250 2\.0\.0 [^]*221 2\.0\.0/)
    })
  }

  testWith([OPENSSL], 'a handshake older than TLS 1.2 fails', async () => {
    const flags = ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0']
    const { code } = await runTool('openssl', ['s_client', '-connect', `127.0.0.1:${workerd.smtps}`, ...flags])
    expect(code).not.toBe(0)
  })

  testWith([ROOT, STRACE], 'the log of the disk is synced, twice, before 250 is sent', async () => {
    const { pid } = workerd.running
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
    const calls = ['-e', 'trace=fsync,fdatasync,write,writev,sendto,sendmsg', '-s', '64']
    const child = children.trim().split(' ').at(-1) ?? ''
    const strace = await Daemon.start(['strace', '-f', '-p', child, ...calls], /attached/)
    await using _ = strace
    await send(workerd.smtp, message(), { ignoreTLS: true })
    await strace.says(/OK queued as/)
    const text = strace.stderr
    const beforeReply = text.slice(text.indexOf('354 '), text.indexOf('OK queued as'))
    expect(beforeReply.match(/\bf(?:data)?sync\(\d+\)\s+= 0/g)?.length).toBeGreaterThanOrEqual(2)
  })

  test('messages that were answered with 250 survive when workerd is killed', async () => {
    const directory = scratch.join('killed')
    const ids: string[] = []
    const raw = message(3 * 1024 * 1024)
    {
      await using first = await startWorkerd({ directory })
      for (let i = 0; i < 3; i++) ids.push(await send(first.smtp, raw, { ignoreTLS: true }))
      await first.running.kill()
    }
    await using second = await startWorkerd({ directory })
    expect((await keptIds(second.http)).toSorted()).toEqual(ids.toSorted())
    for (const id of ids) expect(difference((await readKept(second.http, id)).bytes, raw)).toBeUndefined()
  })

  test('a download stays incomplete if the bytes on the disk have changed', async () => {
    const directory = scratch.join('changed')
    const raw = message(3 * 1024 * 1024)
    await using first = await startWorkerd({ directory })
    const ids = [
      await send(first.smtp, message(), { ignoreTLS: true }),
      await send(first.smtp, raw, { ignoreTLS: true }),
    ]
    await first.running.kill()
    const database = await databaseIn(directory)
    const { changes } = database
      .prepare(`UPDATE chunks SET bytes = CAST(replace(bytes, 'ann@sender', 'eve@sender') AS BLOB)
        WHERE upload IN (SELECT upload FROM blobs WHERE key LIKE '%.eml') AND part = 0`)
      .run()
    database.close()
    expect(changes).toBe(2)
    await using second = await startWorkerd({ directory })
    for (const id of ids) await expect(readKept(second.http, id)).rejects.toThrow(/terminated|fetch failed/)
  })

  test('leftovers, and mail past the retention limits, are removed when workerd starts again', async () => {
    const directory = scratch.join('swept')
    await using first = await startWorkerd({ directory })
    const ids: string[] = []
    for (let i = 0; i < 5; i++) ids.push(await send(first.smtp, message(), { ignoreTLS: true }))
    await first.running.kill()
    const database = await databaseIn(directory)
    // The state is as if workerd had been killed two days ago, between the bytes of one message and its envelope.
    const envelope = database.prepare(`DELETE FROM blobs WHERE key LIKE '%${ids[4]}.json' RETURNING upload`).get()
    database.prepare('DELETE FROM chunks WHERE upload = ?').run(envelope?.['upload'] as number)
    database.prepare(`UPDATE blobs SET modified_at = modified_at - 172800000 WHERE key LIKE '%${ids[4]}.eml'`).run()
    database.prepare('INSERT INTO uploads (touched_at) VALUES (?)').run(Date.now() - 172_800_000)
    database.close()
    await using second = await startWorkerd({ directory, settings: { POSTERN_KEEP_COUNT: '3' } })
    await expect.poll(() => keptIds(second.http), { timeout: 60_000 }).toEqual(ids.slice(1, 4).toReversed())
    for (const id of ids.slice(1, 4)) await readKept(second.http, id)
    expect(second.running.output).toContain(
      '{"message":"removed leftovers of messages that were not committed","messages":1,"temporary":1}',
    )
    expect(second.running.output).toMatch(
      /\{"message":"removed mail past the retention limits","messages":1,"bytes":\d+\}/,
    )
    await second.running.kill()
    const after = await databaseIn(directory)
    const left = (table: string): unknown => after.prepare(`SELECT count(*) AS count FROM ${table}`).get()
    const counts = ['blobs', 'chunks', 'uploads'].map(left)
    after.close()
    expect(counts).toMatchObject([{ count: 6 }, { count: 6 }, { count: 0 }])
  })
})

describe('workerd is stopped', () => {
  const stops = [
    ['by a signal, if nobody is connected', false, ['SIGTERM']],
    ['at the second signal, if somebody is connected', true, ['SIGTERM', 'SIGINT']],
    ['when the terminal is closed', false, ['SIGHUP']],
  ] as const
  test.each(sample<(typeof stops)[number]>(stops, 1))('%s', async (_, isUsed, signals) => {
    await using stopped = await startWorkerd({ directory: scratch.join('stopped') })
    using client = await (isUsed ? SocketClient.greeted(stopped.smtp) : SocketClient.connect(stopped.http))
    if (!isUsed) client.close()
    for (const signal of signals) stopped.running.signal(signal)
    expect(await stopped.running.ended).toBe(0)
    await client.ended()
  })

  test('a message in progress is stored and answered during a stop, and new clients are refused', async () => {
    await using stopped = await startWorkerd({ directory: scratch.join('stopped') })
    using client = await SocketClient.connect(stopped.smtp)
    await client.send(`EHLO a.example\r\nMAIL FROM:<${FROM}>\r\nRCPT TO:<${TO}>\r\nDATA\r\n`)
    for (const code of [220, 250, 250, 250, 354]) await client.expect(code)
    stopped.running.signal('SIGTERM')
    await sleep(200)
    // A new client gets no greeting now.
    using late = await SocketClient.connect(stopped.smtp).catch(() => undefined)
    await client.send('x\r\n.\r\nQUIT\r\n')
    expect((await client.expect(250)).text).toMatch(/ queued as \w+$/)
    await client.expect(221)
    await client.ended()
    expect([await stopped.running.ended, late?.unread ?? '']).toEqual([0, ''])
  })

  test('no private key stays on disk once workerd runs, however it ends', async () => {
    const temporary = scratch.join('temporary')
    await mkdir(temporary)
    const directory = scratch.join('crashed')
    await using crashed = await startWorkerd({ directory, settings: { TMPDIR: temporary } })
    expect(await readdir(temporary)).toEqual([])
    await send(crashed.smtp, message(), { requireTLS: true, tls: { rejectUnauthorized: false } })
    await crashed.running.kill()
  })
})

test.each(sample(WRONG_SETTINGS, 1))(
  'with the wrong settings %j workerd does not start, and one line says why',
  async (settings, text) => {
    const env = {
      ...cleanEnvironment(),
      POSTERN_HOSTNAME: 'mx.example.com',
      POSTERN_DOMAINS: 'example.com',
      ...settings,
    }
    const { code, stdout, stderr } = await runTool(process.execPath, [START], { env, cwd: scratch.path })
    expect([code, stdout.toString()]).toEqual([2, ''])
    expect(stderr).toContain(text)
    expect(stderr.trimEnd()).not.toMatch(/\n|"short"|misspelt/)
  },
)

test('accounts of postern user receive mail and log in by PLAIN, LOGIN and SCRAM-SHA-256', async () => {
  const cwd = scratch.join('accounts')
  await mkdir(cwd)
  await postern(['user', 'add', 'jane@example.org'], { cwd, input: 'tiger\n' })
  const keys = { keyFile: scratch.join('key.pem'), certFile: caFile }
  const settings = { POSTERN_ACCOUNTS: await readFile(join(cwd, 'accounts.json'), 'utf8'), POSTERN_DOMAINS: '*' }
  await using own = await startWorkerd({ directory: scratch.join('accounts-mail'), ...keys, settings })
  for (const method of ['PLAIN', 'LOGIN']) {
    const login = (pass: string): Promise<string> =>
      send(own.smtp, message(100), {
        requireTLS: true,
        tls: tls(),
        authMethod: method,
        auth: { user: 'Jane@Example.org', pass },
        from: 'jane@example.org',
        to: 'jane+x@example.org',
      })
    const { record } = await readKept(own.http, await login('tiger'))
    expect(record.session.user).toBe('jane@example.org')
    expect(record.forwardPaths).toMatchObject([{ address: 'jane+x@example.org', accounts: ['jane@example.org'] }])
    await expect(login('lion')).rejects.toMatchObject({ responseCode: 535 })
    // The failure delays the next try of this address.
    await sleep(600)
  }
  using client = await SocketClient.ready(own.smtp)
  const scram = scramClient({ username: 'jane@example.org', password: 'tiger' })
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  const first = await client.command(`AUTH SCRAM-SHA-256 ${base64(scram.first)}`, 334)
  const { message: final, signature } = scram.final(Buffer.from(first.text.slice(4), 'base64').toString())
  const last = await client.command(base64(final), 334)
  expect(Buffer.from(last.text.slice(4), 'base64').toString()).toBe(signature)
  await client.command('', 235)
  await client.command('MAIL FROM:<eve@example.org>', 550)
  await client.command('MAIL FROM:<jane@example.org>', 250)
  await client.command('RCPT TO:<bob@example.org>', 550)
  await client.command('RCPT TO:<bob@example.net>', 550)
  await client.quit()
})
