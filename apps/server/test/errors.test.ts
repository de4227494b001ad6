/** Failures in the server, and refusals of hooks: the log names each in one line, on every runtime. */
import { symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { SmallDisk } from '../../../test/faults/tmpfs.ts'
import { TMPFS } from '../../../test/kit/abilities.ts'
import { testWith } from '../../../test/kit/need.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { type Postern, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'

type Line = Record<string, unknown>

const TIMEOUT_MS = 120_000

/**
 * Stops the server.
 * @returns its log, without the lines about start and stop
 */
async function stopped(running: Postern): Promise<Line[]> {
  running.signal('SIGTERM')
  expect(await running.ended).toBe(0)
  const lines = running.stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
  expect(lines.at(-1)?.['message']).toBe('stopped')
  return lines.filter(({ logger }) => logger === 'postern')
}

function directory(config: string): string {
  const cwd = temporaryDirectory()
  symlinkSync(join(import.meta.dirname, '../node_modules'), join(cwd, 'node_modules'))
  writeFileSync(join(cwd, 'postern.config.ts'), config)
  return cwd
}

/** Sends a message on a session that was greeted. @returns the last reply */
async function send(client: SocketClient, text = 'Subject: x\r\n'): Promise<string> {
  await client.command('MAIL FROM:<a@example.com>')
  await client.command('RCPT TO:<b@example.com>')
  await client.command('DATA')
  return (await client.command(`${text}.`)).text
}

function greeted(running: Postern): Promise<SocketClient> {
  return SocketClient.ready(running.ports[0] as number)
}

/** A user whose password takes no time to check. */
const USER = `ann:$scrypt$ln=1,r=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
const HOOKS = `
import { reply } from '@postern/engine'
const never = new Promise(() => {})
export default {
  store: 'memory:',
  hookTimeoutMs: '8s',
  authWithoutTls: true,
  users: '${USER}',
  handlers: {
    mail({ localPart }) {
      if (localPart === 'late') return never
      if (localPart === 'refuse') return reply(550, '5.7.1', 'Not you')
    },
    async rcpt({ localPart }) {
      if (localPart === 'throw') throw new TypeError('a bug of mine')
      if (localPart === 'text') throw 'no error'
      if (localPart === 'refuse') return reply(550, '5.1.1', ['Nobody', 'here'])
    },
    verify: (name) => (name === 'wrong' ? 'yes' : undefined),
    data: ({ envelope }) => (envelope.reversePath.localPart === 'data' ? reply(554, '5.6.0', 'Not this') : undefined),
    authenticate({ username }) {
      if (username === 'throw') throw new Error('no directory')
    },
    error(error) {
      console.log('told: ' + String(error))
    },
    async refused({ verb, reply: { code } }) {
      console.log('refused: ' + verb + ' ' + code)
      if (code === 535) throw new Error('nobody listens')
    },
  },
}
`

const auth = (user: string): string => `AUTH PLAIN ${Buffer.from(`\0${user}\0secret`).toString('base64')}`

describe.concurrent.each(sample(Object.entries(COMMANDS), 1, 2))('%s', (_, command) => {
  test(
    'the log names the hook that threw, was late, gave an invalid answer or refused',
    { timeout: TIMEOUT_MS },
    async () => {
      const running = await serve([], { cwd: directory(HOOKS), command })
      const client = await greeted(running)
      expect((await client.command('MAIL FROM:<refuse@x>')).text).toMatch(/^550 5\.7\.1 /)
      expect((await client.command('MAIL FROM:<late@x>')).text).toMatch(/^451 4\.3\.0 /)
      await client.command('MAIL FROM:<data@x>')
      for (const name of ['throw', 'throw', 'text']) {
        expect((await client.command(`RCPT TO:<${name}@x>`)).text).toMatch(/^451 4\.3\.0 /)
      }
      for (let i = 0; i < 5; i++) expect((await client.command('RCPT TO:<refuse@x>')).text).toMatch(/^550-5\.1\.1 /)
      expect((await client.command('VRFY wrong')).text).toMatch(/^451 4\.3\.0 /)
      await client.command('RCPT TO:<b@example.com>')
      await client.command('DATA')
      expect((await client.command('x\r\n.')).text).toMatch(/^554 5\.6\.0 /)
      expect((await client.command(auth('throw'))).text).toMatch(/^454 4\.7\.0 /)
      expect((await client.command(auth('eve'))).text).toMatch(/^535 5\.7\.8 /)
      const lines = await stopped(running)

      const [{ sessionId } = {}] = lines
      const peer = { sessionId, remote: '127.0.0.1', remotePort: expect.any(Number) }
      const stack = expect.stringContaining('postern.config.ts')
      const failures = lines.filter(({ level }) => level === 'ERROR')
      expect(failures).toMatchObject([
        { message: 'handlers.mail did not answer in time', ...peer },
        { message: 'handlers.rcpt threw', ...peer, error: { name: 'TypeError', message: 'a bug of mine', stack } },
        { message: 'handlers.rcpt threw', ...peer, error: 'no error' },
        { message: 'handlers.verify gave an invalid answer', ...peer, error: { name: 'TypeError' } },
        { message: 'handlers.authenticate threw', ...peer, error: { message: 'no directory', stack } },
        { message: 'handlers.refused threw', ...peer, error: { message: 'nobody listens', stack } },
        { message: 'handlers.rcpt threw 1 more time', reason: 'a bug of mine', times: 1 },
      ])
      const hello = { ...peer, hello: 'client.example' }
      const refusals = lines.filter(({ level, hook }) => level === 'INFO' && hook !== undefined)
      expect(refusals).toMatchObject([
        { message: 'refused', ...hello, verb: 'MAIL', hook: 'mail', reply: '550 5.7.1 Not you' },
        { message: 'refused', ...hello, verb: 'RCPT', hook: 'rcpt', reply: '550-5.1.1 Nobody / 550 5.1.1 here' },
        {
          message: 'message refused',
          ...hello,
          verb: 'DATA',
          hook: 'data',
          reply: '554 5.6.0 Not this',
          from: 'data@x',
        },
      ])
      const login = lines.filter(({ message, user }) => message === 'login refused' && user === 'eve')
      expect(login).toMatchObject([
        { ...hello, verb: 'AUTH', mechanism: 'PLAIN', reply: expect.stringMatching(/^535 /) },
      ])
      expect(lines.find(({ message }) => message === 'refused 4 more times')).toMatchObject({ verb: 'RCPT', times: 4 })
      // The user's own hooks get the errors and the refusals.
      expect(running.stdout).toMatch(/^told: TypeError: a bug of mine$/m)
      expect(running.stdout).toMatch(/^told: no error$/m)
      expect(running.stdout).toMatch(/^refused: MAIL 550$/m)
    },
  )

  testWith(
    [TMPFS],
    'a full disk is logged as one line, however many messages are refused',
    async () => {
      await using disk = await SmallDisk.mount('size=1m')
      const store = `fs:${join(disk.path, 'mail')}`
      const running = await serve(['--store', store], { command })
      const client = await greeted(running)
      expect(await send(client)).toMatch(/^250 /)
      try {
        writeFileSync(join(disk.path, 'filler'), Buffer.alloc(2 ** 20))
      } catch {}
      for (let i = 0; i < 20; i++) expect(await send(client, 'x\r\n'.repeat(2_000))).toMatch(/^452 4\.3\.1 /)
      const lines = await stopped(running)
      const peer = { sessionId: expect.any(String), remote: '127.0.0.1' }
      const failure = { store, code: 'no-space', reason: expect.stringMatching(/^no space left: /) }
      expect(lines.filter(({ level }) => level === 'ERROR')).toMatchObject([
        { message: 'the store failed', ...failure, ...peer },
        { message: 'the store failed 19 more times', ...failure, times: 19 },
      ])
      const reply = '452 4.3.1 Out of storage space, try again later'
      expect(lines.filter(({ level, reply: given }) => level === 'INFO' && given !== undefined)).toMatchObject([
        {
          message: 'message refused',
          verb: 'DATA',
          reply,
          from: 'a@example.com',
          messageId: expect.any(String),
          ...peer,
        },
        { message: 'message refused 19 more times', verb: 'DATA', reply, times: 19 },
      ])
      expect(running.stderr).not.toMatch(/"stack"|node:internal/)
    },
    TIMEOUT_MS,
  )

  test('a bucket that does not answer is logged as one line with the reason', { timeout: TIMEOUT_MS }, async () => {
    // At its start, a server only asks a bucket for its keys.
    const bucket = createServer((_, response) => response.end('<ListBucketResult></ListBucketResult>'))
    bucket.listen(0, '127.0.0.1')
    await once(bucket, 'listening')
    const { port } = bucket.address() as AddressInfo
    const store = `s3://mail/in?endpoint=http://127.0.0.1:${port}&addressing=path`
    const env = { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'hunter2hunter2' }
    const running = await serve(['--store', store, '--hook-timeout-ms', '15s'], { command, env })
    const closed = once(bucket, 'close')
    bucket.close()
    bucket.closeAllConnections()
    await closed
    // The store retries for a part of the time that a hook has.
    await Promise.all([1, 2].map(async () => expect(await send(await greeted(running))).toMatch(/^451 4\.3\.0 /)))
    const lines = await stopped(running)
    const failures = lines.filter(({ message }) => String(message).startsWith('the store'))
    expect(failures).toMatchObject([
      {
        message: 'the store failed',
        store,
        code: 'unavailable',
        remote: '127.0.0.1',
        reason: expect.stringMatching(/./),
      },
      { message: 'the store failed 1 more time', store, code: 'unavailable' },
    ])
    expect(failures[0]).not.toHaveProperty('error')
    expect(running.stderr).not.toMatch(/hunter2|"stack"/)
  })

  test('the log names a user’s own store that throws or hangs', { timeout: TIMEOUT_MS }, async () => {
    const store = `{
      save: (message) => (message.envelope.reversePath.localPart === 'a' ? new Promise(() => {}) : Promise.reject(new RangeError('torn'))),
      load() {}, list: async () => ({ records: [], corrupt: [] }), delete() {}, bounce() {}, expire() {},
      sweep: async () => ({ messages: 0, temporary: 0 }),
    }`
    const cwd = directory(`export default { hookTimeoutMs: '1s', store: ${store} }`)
    const running = await serve([], { cwd, command })
    const client = await greeted(running)
    expect(await send(client)).toMatch(/^451 4\.3\.0 /)
    await client.command('MAIL FROM:<other@example.com>')
    await client.command('RCPT TO:<b@example.com>')
    await client.command('DATA')
    expect((await client.command('x\r\n.')).text).toMatch(/^451 4\.3\.0 /)
    expect((await stopped(running)).filter(({ level }) => level === 'ERROR')).toMatchObject([
      { message: 'the store did not answer in time', remote: '127.0.0.1' },
      { message: 'the store threw', error: { name: 'RangeError', message: 'torn', stack: expect.any(String) } },
    ])
  })

  test(
    'a message with many long recipients is logged as one valid line of bounded size',
    { timeout: TIMEOUT_MS },
    async () => {
      const flags = ['--log-format', 'json', '--max-command-line-octets', '65536', '--store', 'memory:']
      const running = await serve(flags, { command })
      const client = await greeted(running)
      await client.command('MAIL FROM:<"-----BEGIN PRIVATE KEY-----"@x.example>')
      for (let i = 0; i < 100; i++) client.send(`RCPT TO:<"//${':'.repeat(1_500)}${i}"@x.example>\r\n`)
      for (let i = 0; i < 100; i++) expect((await client.reply()).text).toMatch(/^250 /)
      await client.command('DATA')
      expect((await client.command('x\r\n.')).text).toMatch(/^250 /)
      await running.says(/"message":"message kept"/)
      const [line] = (await running.says(/^.*"message":"message kept".*$/m)) as unknown as [string]
      expect(line.length).toBeLessThan(30_000)
      const kept = JSON.parse(line) as Line
      expect(kept).toMatchObject({
        from: '"-----BEGIN PRIVATE KEY-----"@x.example',
        recipientCount: 100,
        remote: '127.0.0.1',
      })
      expect(kept['to']).toHaveLength(20)
      await stopped(running)
    },
  )
})
