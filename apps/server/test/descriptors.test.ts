/** The limit of open files: what fits into it. An overloaded server keeps its existing sessions and their mail. */
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connectionsThatFit, type DescriptorUse } from '../src/serve/descriptors.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { postern, type Postern, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { behind, RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'
import { listed } from './mail.ts'

const USE: DescriptorUse = { maxConnections: 2_000, workers: 1, addresses: 1, waits: 0, besides: 1_088 }

test('the limit of connections leaves room for the process, its workers and its store', () => {
  const fit = (limit: number, use: Partial<DescriptorUse> = {}): number => connectionsThatFit(limit, { ...USE, ...use })
  expect(fit(1_048_576)).toBe(2_000)
  expect(fit(4_096)).toBe(2_000)
  expect(fit(1_024)).toBe(412)
  expect(fit(1_024, { besides: 0 })).toBe(741)
  expect(fit(1_024, { besides: Infinity })).toBe(412)
  expect(fit(1_024, { workers: 8 })).toBe(309)
  expect(fit(1_024, { waits: 1 })).toBe(285)
  expect(fit(1_024, { maxConnections: 10 })).toBe(10)
  expect(fit(64)).toBeLessThan(1)
})

test('the sum of all descriptors never exceeds the limit', () => {
  for (const limit of [128, 256, 1_024, 4_096, 20_000]) {
    for (const besides of [0, 1_088, Infinity]) {
      for (const workers of [1, 3, 64]) {
        const connections = connectionsThatFit(limit, { ...USE, besides, workers, maxConnections: 1e7 })
        if (connections < 1) continue
        const open = connections + connections / 4 + Math.min(besides, connections) + 64 + 33 * workers
        expect(open).toBeLessThanOrEqual(limit)
        expect(open).toBeGreaterThan(limit - 4)
      }
    }
  }
})

/** Returns the greeting, or '' if there was none. */
function greetingOf(client: SocketClient): Promise<string> {
  return client.reply().then(
    ({ text }) => text,
    () => 'closed',
  )
}

async function leave(peers: readonly SocketClient[]): Promise<void> {
  await Promise.all(
    peers.map(async ({ socket }) => {
      if (socket.destroyed) return
      socket.destroy()
      await once(socket, 'close')
    }),
  )
}

/** Sends a message of this many lines. */
async function send(client: SocketClient, lines: number): Promise<string> {
  for (const line of ['EHLO me', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'DATA'])
    await client.command(line)
  return (await client.command(`Subject: mail\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(lines)}.`)).text
}

async function lowered(running: Postern): Promise<number> {
  const [line] = await running.says(/^\{.*"fewer connections than asked for.*$/m)
  const { option, wanted, maxConnections, openFiles } = JSON.parse(line) as Record<string, unknown>
  expect([option, wanted, openFiles]).toEqual(['--max-connections', 2_000, 256])
  return maxConnections as number
}

test.each(
  sample(
    RUNTIME_NAMES.flatMap((runtime) => [1, 3].map((workers) => [runtime, workers] as const)),
    2,
  ),
)(
  'with 256 open files, 300 connections do not harm existing sessions: %s, workers: %i',
  { timeout: 120_000 },
  async (runtime, workers) => {
    const flags = ['--workers', String(workers), '--max-connections-per-address', '1000']
    const running = await serve(flags, { command: behind('ulimit -n 256', RUNTIMES[runtime]) })
    const [port = 0] = running.ports
    const places = await lowered(running)
    const early = await SocketClient.connect(port)
    expect(await greetingOf(early)).toMatch(/^220 /)

    // All connect at once. Some get the reason. If there are too many of these, the others are closed without a reply.
    const many = await Promise.all(Array.from({ length: 300 }, () => SocketClient.connect(port)))
    const greetings = await Promise.all(many.map(greetingOf))
    for (const greeting of greetings) expect(greeting).toMatch(/^220 |^421 4\.7\.0 |^closed$/)
    // A tenth is kept for addresses that have no connection yet.
    expect(greetings.filter((greeting) => greeting.startsWith('220'))).toHaveLength(
      places - Math.floor(places / 10) - 1,
    )
    expect(greetings.some((greeting) => greeting.startsWith('421 4.7.0'))).toBe(true)
    const insiders = many.filter((_, i) => greetings[i]?.startsWith('220'))
    for (const lines of [1, 3_000]) expect(await send(early, lines)).toMatch(/^250 /)
    expect(await Promise.all(insiders.map((client) => client.command('NOOP')))).toEqual(
      insiders.map(() => expect.objectContaining({ code: 250 })),
    )
    // They connect one after the other, and each gets the reason.
    for (let i = 0; i < 20; i++) {
      await leave(many.filter((peer) => !insiders.includes(peer)))
      const late = await SocketClient.connect(port)
      expect(await greetingOf(late)).toMatch(/^421 4\.7\.0 /)
      await leave([late])
    }
    await leave(insiders)
    let next = await SocketClient.connect(port)
    while (!(await greetingOf(next)).startsWith('220')) {
      await leave([next])
      next = await SocketClient.connect(port)
    }
    expect(await send(next, 1)).toMatch(/^250 /)
    running.signal('SIGTERM')
    expect(await running.ended).toBe(0)
    expect((await listed(join(running.cwd, 'mail'))).records).toHaveLength(3)
  },
)

test.each(sample(RUNTIME_NAMES, 1, 12))(
  'the server fails with one line if no connection fits the open files on %s',
  async (runtime) => {
    const { code, stderr } = await postern(['serve', '--listen', 'smtp://127.0.0.1:0', '--store', 'memory:'], {
      command: behind('ulimit -n 90', RUNTIMES[runtime]),
    })
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^postern: the limit of open files is 90, too low /)])
  },
)
