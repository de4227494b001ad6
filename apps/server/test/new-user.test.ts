/** `--user` and `--group`: the server listens as root, becomes another user for good, and owns what it stores. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { OTHER_USER, ROOT } from '../../../test/kit/abilities.ts'
import { writeCertificate } from '../../../test/kit/certificate.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { testWith } from '../../../test/kit/need.ts'
import { Postern, postern, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { RUNTIMES } from './runtimes.ts'

const UID = 12345
const GID = 12346
/** The user may enter it, and the directories above it. */
const folder = mkdtempSync(join(tmpdir(), 'postern-user-'))
chmodSync(folder, 0o755)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Returns the ids of a process: real, effective, saved and of the file system. */
function idsOf(pid: number, field: 'Uid' | 'Gid' | 'Groups'): number[] {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const [, ids = ''] = new RegExp(`^${field}:(.*)$`, 'm').exec(status) ?? []
  return ids.trim().split(/\s/).map(Number)
}

function ownersBelow(directory: string): Set<string> {
  const owners = new Set<string>()
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const { uid, gid } = statSync(join(directory, name))
    owners.add(`${uid}:${gid}`)
  }
  return owners
}

describe.each(sample(['node', 'bun'] as const, 1))('on %s', (name) => {
  testWith([OTHER_USER], 'the server becomes the user in every thread, and the user owns the mail', async () => {
    const cwd = join(folder, name)
    mkdirSync(cwd)
    chownSync(cwd, UID, GID)
    // Only root reads the key.
    await writeCertificate(join(cwd, 'key.pem'), join(cwd, 'cert.pem'))
    const tls = ['--tls-key', 'key.pem', '--tls-cert', 'cert.pem', '--log-format', 'json']
    const listen = ['--listen', 'smtp://127.0.0.1:0', '--store', 'fs:./mail']
    const server = await serve([...listen, ...tls, '--user', `${UID}`, '--group', `${GID}`], {
      cwd,
      command: RUNTIMES[name],
    })
    const pid = server.pid
    for (const thread of readdirSync(`/proc/${pid}/task`).map(Number)) {
      expect(idsOf(thread, 'Uid')).toEqual([UID, UID, UID, UID])
      expect(idsOf(thread, 'Gid')).toEqual([GID, GID, GID, GID])
      expect(idsOf(thread, 'Groups')).toEqual([GID])
    }
    const client = await SocketClient.ready(server.port)
    await client.data('Subject: Owned')
    await client.send('\r\n.\r\n')
    await client.expect(250)
    await client.quit()
    expect(ownersBelow(join(cwd, 'mail'))).toEqual(new Set([`${UID}:${GID}`]))

    await server.says(
      /"this user cannot read a certificate file again; restart the server after it changes".*"file":"key.pem"/,
    )
    server.signal('SIGHUP')
    await server.says(
      /"certificates could not be read again; the server keeps the old ones".*this user may not read it/,
    )
    const secure = await SocketClient.ready(server.port)
    await secure.command('STARTTLS', 220)
    await secure.startTls({ rejectUnauthorized: false })
    await secure.command('EHLO client.example', 250)
    await secure.quit()
  })
})

testWith([ROOT], 'a user with a name has the groups of that name', async () => {
  const cwd = mkdtempSync(join(folder, 'named-'))
  chmodSync(cwd, 0o777)
  const server = await serve(['--store', 'memory:', '--user', 'daemon'], { cwd })
  expect(server.output).toMatch(/^ *User +daemon$/m)
  const [, uid, gid] = /^daemon:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8')) ?? []
  expect(idsOf(server.pid, 'Uid')).toEqual(Array.from({ length: 4 }, () => Number(uid)))
  expect(idsOf(server.pid, 'Gid')).toEqual(Array.from({ length: 4 }, () => Number(gid)))
  expect(idsOf(server.pid, 'Groups')).not.toContain(0)
})

testWith([OTHER_USER], 'a front becomes the user too', async () => {
  const args = ['front', '--to', 'ws://127.0.0.1:9/pipe', '--listen', 'smtp://127.0.0.1:0']
  const flags = ['--user', `${UID}`, '--group', `${GID}`]
  const front = await new Postern([...args, ...flags], { env: { POSTERN_FRONT_SECRET: 's'.repeat(40) } }).serving()
  expect(idsOf(front.pid, 'Uid')).toEqual([UID, UID, UID, UID])
  expect(idsOf(front.pid, 'Groups')).toEqual([GID])
  // Nobody listens behind it, so a client that it serves gets 421.
  const client = await SocketClient.connect(front.port)
  await client.expect(421)
})

/** Each run looks at one in three, and at each user that is root. */
const REFUSALS: readonly (readonly [string, readonly string[]])[] = [
  ['--user no-such-user: the system knows no such user and its group; a number needs --group too', ['no-such-user']],
  ['--user 54321: the system knows no such user and its group; a number needs --group too', ['54321']],
  ['--user no-such-user: there is no such user', ['no-such-user', '--group', 'daemon']],
  ['--group no-such-group: there is no such group', ['daemon', '--group', 'no-such-group']],
  ['--user root: it has rights of root; name another user and group', ['root']],
  ['--user daemon: it has rights of root; name another user and group', ['daemon', '--group', '0']],
]
const isOfRoot = ([line]: (typeof REFUSALS)[number]): boolean => line.includes('rights of root')
for (const [line, [user = '', ...flags]] of [
  ...REFUSALS.filter(isOfRoot),
  ...sample(
    REFUSALS.filter((row) => !isOfRoot(row)),
    1,
  ),
]) {
  testWith([ROOT], `the server refuses a user: ${line}`, async () => {
    const { code, stderr } = await postern(['serve', '--store', 'memory:', '--user', user, ...flags])
    expect([code, stderr]).toEqual([2, `postern: ${line}\n`])
  })
}

testWith([OTHER_USER], 'only root becomes another user', async () => {
  const args = ['serve', '--store', 'memory:', '--user', 'daemon']
  const { code, stderr } = await postern(args, { uid: UID, cwd: '/' })
  expect([code, stderr]).toEqual([
    2,
    'postern: --user daemon: only root can become another user; start the server as root, or leave the option out\n',
  ])
})

const REFUSED: readonly (readonly [readonly string[], string])[] = [
  [['--group', 'daemon'], '--group: needs a user: give --user'],
  [['--user', 'a b'], '--user: "a b" is not the name or the number of a user'],
  [
    ['--user', 'daemon', '--workers', '2', '--store', 'fs:./mail'],
    '--user and --workers: a worker that is started again could not listen on a port for root; remove one',
  ],
]
test.each(sample(REFUSED, 1))('the server refuses %j', async (flags, line) => {
  const { code, stderr } = await postern(['serve', ...flags])
  expect([code, stderr]).toEqual([2, `postern: ${line}\n`])
})

test('Deno refuses to change its user', async () => {
  const args = ['serve', '--store', 'memory:', '--user', 'daemon']
  const { code, stderr } = await postern(args, { command: RUNTIMES.deno })
  expect([code, stderr]).toEqual([
    2,
    "postern: --user daemon: Deno can't change its user; start the server as that user\n",
  ])
})
