/** Deno limits a program to its permissions. The flags of the README are enough, and each of them is needed. */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { CHEAP, user } from '../../../packages/intake/test/hashed.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern, type Result, serve } from '../../../test/kit/postern.ts'

const STORE = ['--allow-read=.', '--allow-write=mail']
const SERVE = [...STORE, '--allow-net=127.0.0.1', '--allow-sys=hostname']

/** Not `deno` itself, because that is a script of npm, which does not pass signals on. */
const DENO = join(dirname(createRequire(import.meta.url).resolve('deno/package.json')), 'deno')

function deno(...flags: string[]): readonly [string, ...string[]] {
  return [DENO, 'run', '--no-prompt', ...flags]
}

function look(cwd: string, flags: readonly string[], ...args: string[]): Promise<Result> {
  return postern(args, { cwd, command: deno(...flags) })
}

test('serve, list, show, export, sweep and delete work with the documented permissions only', async () => {
  const running = await serve(['--self-signed'], { command: deno(...SERVE) })
  const { cwd } = running
  const client = await SocketClient.connect(running.ports[0] as number)
  for (const line of [
    '',
    'EHLO me',
    'MAIL FROM:<a@example.com>',
    'RCPT TO:<b@example.com>',
    'DATA',
    'Subject: Hi\r\n\r\nHi!\r\n.',
  ]) {
    if (line !== '') client.send(`${line}\r\n`)
    expect((await client.reply()).text).toMatch(/^[23]/)
  }
  running.signal('SIGTERM')
  expect(await running.ended).toBe(0)
  expect(running.stdout).toMatch(/\nStopping.*\nStopped\.\n$/)
  const listed = await look(cwd, STORE, 'list', '--json')
  const [{ id }] = JSON.parse(listed.stdout).records as [{ id: string }]
  expect((await look(cwd, STORE, 'show', '--raw', id)).stdout).toMatch(/\r\nSubject: Hi\r\n\r\nHi!\r\n$/)
  expect((await look(cwd, STORE, 'export', '--format', 'mbox')).stdout).toContain('Subject: Hi')
  expect(await look(cwd, STORE, 'sweep', '--keep-count', '1')).toMatchObject({ code: 0, stderr: '' })
  expect(await look(cwd, STORE, 'delete', id)).toMatchObject({ code: 0, stderr: '' })
})

test.each([
  ['may not read', SERVE],
  ['may read', [...SERVE, `--allow-read=.,${join(import.meta.dirname, '../../..')}`]],
])('passwords are checked if Deno %s the files of a check thread', async (_, flags) => {
  const users = ['--users', user('ann', 'right', CHEAP), '--auth-without-tls']
  const running = await serve(users, { command: deno(...flags) })
  const client = await SocketClient.ready(running.ports[0] as number)
  const login = async (password: string): Promise<string> =>
    (await client.command(`AUTH PLAIN ${Buffer.from(`\0ann\0${password}`).toString('base64')}`)).text
  expect(await login('wrong')).toMatch(/^535 /)
  expect(await login('right')).toMatch(/^235 /)
  running.signal('SIGTERM')
  expect(await running.ended).toBe(0)
})

test.each([
  [
    ['--allow-read=.', '--allow-write=mail'],
    /^postern: Deno does not allow it: Requires net access to "127\.0\.0\.1:0"/,
  ],
  [['--allow-read=.', '--allow-net=127.0.0.1'], /^postern: --store fs:\.\/mail: .* Requires write access/],
  [['--allow-net=127.0.0.1'], /^postern: Deno does not allow it: Requires read access to ".*postern\.config\.ts"/],
])('serve with only %j fails with one line that names the missing permission', async (flags, line) => {
  const { code, stdout, stderr } = await look(temporaryDirectory(), flags, 'serve', '--listen', 'smtp://127.0.0.1:0')
  expect(stderr).toMatch(line)
  expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  expect([code, stdout]).toEqual([2, ''])
})

test('the environment is read if Deno allows all of it, or single variables', async () => {
  const env = { POSTERN_STORE: 'fs:./no-such' }
  const seen = (flags: readonly string[]): Promise<Result> =>
    postern(['list'], { env, command: deno(...STORE, ...flags) })
  for (const flags of [['--allow-env'], ['--allow-env=POSTERN_*'], ['--allow-env=POSTERN_STORE']]) {
    expect((await seen(flags)).stderr).toMatch(/no-such: there is no such directory/)
  }
  expect((await seen([])).stderr).toMatch(/\.\/mail: there is no such directory/)
})

test('help needs no permission', async () => {
  for (const args of [['--help'], ['serve', '--help']]) {
    expect(await look(temporaryDirectory(), [], ...args)).toMatchObject({ code: 0, stderr: '' })
  }
})
