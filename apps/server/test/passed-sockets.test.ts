/** `smtp+fd:`: the server uses sockets that systemd has made, on the runtimes that can, and refuses what systemd has not passed. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { PYTHON } from '../../../test/kit/abilities.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { testWith } from '../../../test/kit/need.ts'
import { postern, serve } from '../../../test/kit/postern.ts'
import { parseListenUrl } from '../src/config/urls/listen-url.ts'
import { passedSocket, type PassedSockets } from '../src/serve/passed-sockets.ts'
import { RUNTIMES } from './runtimes.ts'

/** Makes a TCP and a Unix socket, and becomes the program with them as descriptors 3 and 4, as systemd does. */
const LAUNCHER = `
import os, socket, sys
tcp = socket.socket()
tcp.bind(('127.0.0.1', 0))
unix = socket.socket(socket.AF_UNIX)
unix.bind(sys.argv[1])
for made in (tcp, unix): made.listen(16)
high = [os.dup(made.fileno()) for made in (tcp, unix)]
for at, fd in enumerate(high): os.dup2(fd, 3 + at, inheritable=True)
os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES='mail:local')
os.execvp(sys.argv[2], sys.argv[2:])
`

const USER = `ann:$scrypt$ln=1,r=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`

test.each([
  ['smtp+fd:3', '3'],
  ['submission+fd:mail', 'mail'],
  ['submissions+fd:postern@1.socket', 'postern@1.socket'],
])('%s is the URL of a socket', (url, socket) => {
  expect(parseListenUrl(url)).toMatchObject({ url, socket, path: undefined, host: undefined, port: 0 })
})

test.each(['smtp+fd:', 'smtp+fd://3', 'smtp+fd:a/b', 'smtp+fd:3#x', 'smtp+fd:a b', 'ws+fd:3', 'smtp+fd:%33'])(
  '%s is no URL of a socket',
  (url) => {
    expect(parseListenUrl(url)).toBeUndefined()
  },
)

describe('a socket is found', () => {
  const passed: PassedSockets = { count: '2', pid: '77', names: 'mail:local', ownPid: 77 }

  test.each([
    ['3', 3],
    ['4', 4],
    ['mail', 3],
    ['local', 4],
  ])('as %s', (socket, fd) => {
    expect(passedSocket(socket, '--listen x', passed)).toBe(fd)
  })

  test.each<[string, Partial<PassedSockets>, string]>([
    ['2', {}, '--listen x: systemd has passed no such socket; it has passed 3 mail, 4 local'],
    ['5', {}, '--listen x: systemd has passed no such socket; it has passed 3 mail, 4 local'],
    ['other', { names: undefined }, '--listen x: systemd has passed no such socket; it has passed 3, 4'],
    [
      '3',
      { count: undefined },
      '--listen x: systemd has passed no socket (LISTEN_FDS); start the server by a .socket unit',
    ],
    ['3', { count: '-1' }, '--listen x: systemd has passed no socket (LISTEN_FDS); start the server by a .socket unit'],
    [
      '3',
      { count: 'two' },
      '--listen x: systemd has passed no socket (LISTEN_FDS); start the server by a .socket unit',
    ],
    [
      '3',
      { pid: '76' },
      '--listen x: the sockets are for process 76 (LISTEN_PID), and this is 77; start the program itself, not by a shell or npx',
    ],
  ])('not as %s if %j', (socket, other, message) => {
    expect(() => passedSocket(socket, '--listen x', { ...passed, ...other })).toThrow(message)
  })
})

describe.each(['node', 'bun'] as const)('on %s', (name) => {
  testWith(
    [PYTHON],
    'the server serves a TCP and a Unix socket of systemd, with the policy of the scheme',
    async () => {
      const cwd = temporaryDirectory()
      const path = join(cwd, 'socket')
      const command = ['python3', '-c', LAUNCHER, path, ...RUNTIMES[name]] as const
      const listen = ['--listen', 'submission+fd:mail', '--listen', 'smtp+fd:4']
      const flags = ['--self-signed', '--store', 'memory:', '--users', USER, '--hostname', 'mx.example.org']
      const server = await serve([...listen, ...flags], { cwd, command })
      expect(server.output).toMatch(
        /submission:\/\/127\.0\.0\.1:\d+ \(a socket of systemd, TLS required, AUTH required\)/,
      )

      const byTcp = await SocketClient.ready(server.port)
      expect(await byTcp.command('MAIL FROM:<a@example.com>')).toMatchObject({ code: 530 })
      await byTcp.quit()
      const byPath = await SocketClient.ready(path)
      expect(await byPath.command('MAIL FROM:<a@example.com>')).toMatchObject({ code: 250 })
      await byPath.quit()
    },
  )
})

test('Deno refuses a socket of systemd', async () => {
  const args = ['serve', '--listen', 'smtp+fd:3', '--store', 'memory:']
  const { code, stderr } = await postern(args, { command: RUNTIMES.deno, env: { LISTEN_FDS: '1' } })
  expect([code, stderr]).toEqual([
    2,
    "postern: --listen smtp+fd:3: Deno can't use a socket of systemd; give smtp://HOST:PORT\n",
  ])
})

test.each([
  [[], /^postern: --listen smtp\+fd:3: systemd has passed no socket/],
  [['--workers', '2'], /^postern: --workers 2: only one thread can serve --listen smtp\+fd:3; /],
])('the server refuses smtp+fd:3 with %j', async (flags, line) => {
  const args = ['serve', '--listen', 'smtp+fd:3', '--store', 'fs:./mail', ...flags]
  const { code, stderr } = await postern(args)
  expect([code, stderr.split('\n').length]).toEqual([2, 2])
  expect(stderr).toMatch(line)
})
