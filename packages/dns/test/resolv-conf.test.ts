import { rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { Scratch } from '../../../test/kit/scratch.ts'
import { runTool } from '../../../test/kit/tool.ts'
import { createResolver, type Reply, type Servers, type Upstream } from '../src/index.ts'
import { parseResolvConf, systemUpstreams, udpUpstream } from '../src/sockets/index.ts'

test('resolv.conf names the servers in their order, how long they may take and how often they are asked', () => {
  const text = [
    '# a comment',
    '; another',
    'nameserver 192.0.2.1',
    '\tnameserver   2001:db8::53 ',
    'nameserver fe80::1%eth0',
    'options timeout:2 attempts:3',
  ].join('\n')
  expect(parseResolvConf(text)).toEqual({
    servers: ['192.0.2.1', '2001:db8::53', 'fe80::1%eth0'].map((address) => ({ address, port: 53 })),
    namesServer: true,
    attemptTimeoutMs: 2_000,
    attempts: 3,
    ignored: [],
  })
})

test('what resolv.conf says and nobody heeds is told', () => {
  const text =
    'search a.example b.example\noptions ndots:5 rotate timeout:x\nnameserver ns.example\nsortlist 192.0.2.0\n'
  expect(parseResolvConf(text)).toEqual({
    servers: [{ address: '127.0.0.1', port: 53 }],
    namesServer: false,
    attemptTimeoutMs: 5_000,
    attempts: 2,
    ignored: [
      'search: only whole names are looked up',
      'ndots:5: only whole names are looked up',
      'options rotate: not supported',
      'options timeout:x: not supported',
      'nameserver ns.example: not an IP address',
      'sortlist: not supported',
    ],
  })
})

test('servers, times and messages of a strange resolv.conf have a bound', () => {
  const { servers, attemptTimeoutMs, attempts, ignored } = parseResolvConf(
    `${'nameserver 192.0.2.1\n'.repeat(1_000)}options timeout:9999 attempts:9999\n`,
  )
  expect([servers.length, attemptTimeoutMs, attempts, ignored.length]).toEqual([8, 30_000, 5, 20])
})

test('the servers of a machine are those of its file', async () => {
  await using scratch = await Scratch.make()
  await writeFile(scratch.join('resolv.conf'), 'nameserver 192.0.2.1\nnameserver ::1\r\noptions attempts:1')
  const { upstreams, refresh: _refresh, ...options } = await systemUpstreams(scratch.join('resolv.conf'))
  expect(upstreams.map(({ url }) => url)).toEqual(['udp://192.0.2.1:53', 'udp://[::1]:53'])
  expect(options).toEqual({ attempts: 1, attemptTimeoutMs: 5_000, ignored: [] })
  await expect(systemUpstreams(scratch.join('none'))).rejects.toThrow(/ENOENT/)
})

test.each(['node', 'deno', 'bun'] as const)(
  'the servers of a machine are those of its file now, on %s',
  async (runtime) => {
    await using scratch = await Scratch.make()
    const file = scratch.join('resolv.conf')
    await writeFile(file, 'nameserver 192.0.2.1')
    const [command, ...args] = COMMANDS[runtime]
    const program = resolve(import.meta.dirname, 'resolv-conf-program.ts')
    const { stdout, stderr } = await runTool(command, [...args, program, file])
    expect(stdout.toString().trim().split('\n'), stderr).toEqual([
      'too early: udp://192.0.2.1:53, 2 attempts',
      'other size: udp://192.0.2.22:53, 2 attempts',
      'empty: udp://192.0.2.22:53, 2 attempts',
      'half: udp://192.0.2.22:53, 2 attempts',
      'whole: udp://192.0.2.3:53, 4 attempts',
      'gone: udp://192.0.2.3:53, 4 attempts',
      'back: udp://192.0.2.4:53, 2 attempts',
      'replaced: udp://192.0.2.5:53, 2 attempts',
      'other inode alone: udp://192.0.2.6:53, 2 attempts',
      'other time alone: udp://192.0.2.7:53, 2 attempts',
    ])
  },
)

test('a file that is written again with the same text changes nothing', async () => {
  await using scratch = await Scratch.make()
  const file = scratch.join('resolv.conf')
  await writeFile(file, 'nameserver 192.0.2.1')
  let now = 0
  const { refresh } = await systemUpstreams(file, () => now)
  const before = await refresh()
  await rm(file)
  await writeFile(file, 'nameserver 192.0.2.1')
  now = 5_000
  expect(await refresh()).toBe(before)
})

test('a resolver asks the servers that there are now, in their times', async () => {
  const asked: string[] = []
  const server = (url: string): Upstream => ({
    url,
    async ask(_, { timeoutMs }): Promise<Reply> {
      asked.push(`${url} ${timeoutMs}`)
      return { status: 'failed', reason: 'refused', detail: 'no' }
    },
  })
  let servers: Servers = { upstreams: [server('one')], attemptTimeoutMs: 1_000 }
  const resolver = createResolver({ ...servers, refresh: async () => servers })
  await resolver.resolve('a.example', 'A')
  servers = { upstreams: [server('two'), server('three')], attemptTimeoutMs: 2_000 }
  await resolver.resolve('b.example', 'A')
  expect(asked).toEqual(['one 1000', 'two 2000', 'three 2000'])
})

test.each([
  ['localhost', 53, /localhost is not an IP address/],
  ['127.0.0.1', 0, /0 is not a port/],
  ['127.0.0.1', 65_536, /65536 is not a port/],
])('a server at %s port %d is refused', (address, port, message) => {
  expect(() => udpUpstream({ address, port })).toThrow(message)
})
