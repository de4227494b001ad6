/** `postern serve --workers 2`: several threads give the same guarantees as one. */
import { once } from 'node:events'
import { symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { expect, test } from 'vitest'
import { writeCertificate } from '../../../test/kit/certificate.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern, type Postern, serve } from '../../../test/kit/postern.ts'
import { listed } from './mail.ts'
import { sample } from '../../../test/kit/sample.ts'

const { resolve: find } = createRequire(import.meta.url)
const DENO = [resolve(find('deno/package.json'), '../deno'), 'run', '--no-prompt', '--allow-all'] as const
const RUNTIMES: Readonly<Record<string, readonly [string, ...string[]]>> = {
  node: [process.execPath],
  deno: [...DENO, '--unstable-net'],
  bun: ['bun', 'run'],
}
/** Starts three programs with three threads each, on two cores that are also busy with other work. */
const TIMEOUT_MS = 90_000
const PER_ADDRESS = 8
const CONNECTIONS = 10

/** Hooks that report the thread in which they run, and that break the thread. */
const CONFIG = `
import { threadId } from 'node:worker_threads'
import { reply } from '@postern/engine'
export default {
  handlers: {
    rcpt({ localPart }) {
      if (localPart === 'who') return reply(550, '5.1.1', 'thread ' + threadId)
      if (localPart === 'throw') setTimeout(() => { throw new Error('broken by a hook') })
      if (localPart === 'exit') process.exit(3)
    },
  },
}
`

function directory(config = CONFIG): string {
  const cwd = temporaryDirectory()
  symlinkSync(join(import.meta.dirname, '../node_modules'), join(cwd, 'node_modules'))
  writeFileSync(join(cwd, 'postern.config.ts'), config)
  return cwd
}

/** A connection that was accepted, or that got the reason why not. */
class Peer {
  readonly greeting: string
  readonly client: SocketClient
  private constructor(client: SocketClient, greeting: string) {
    this.client = client
    this.greeting = greeting
  }

  static async connect(to: number | string, localAddress = '127.0.0.1'): Promise<Peer> {
    const client = await SocketClient.connect(to, { localAddress, waitMs: TIMEOUT_MS })
    return new Peer(client, (await client.reply()).text)
  }

  /** Connects and is accepted, if necessary after earlier connections have left. */
  static async enter(to: number | string, localAddress?: string): Promise<Peer> {
    for (;;) {
      // If a worker dies, a connection that waits to be accepted may be lost with it.
      const peer = await Peer.connect(to, localAddress).catch(() => undefined)
      if (peer?.greeting.startsWith('220')) return peer
      await new Promise((done) => {
        setTimeout(done, 20)
      })
    }
  }

  get isClosed(): boolean {
    return this.client.isOver
  }

  async commands(...lines: readonly string[]): Promise<string[]> {
    const replies: string[] = []
    for (const line of lines) replies.push((await this.client.command(line)).text)
    return replies
  }

  /** Returns the thread that serves it. */
  async thread(): Promise<string> {
    const [, , where, reset] = await this.commands(
      'EHLO me',
      'MAIL FROM:<a@example.com>',
      'RCPT TO:<who@example.com>',
      'RSET',
    )
    expect(reset).toMatch(/^250/)
    return /thread (\d+)/.exec(where ?? '')?.[1] ?? ''
  }

  /** Begins a message. */
  async begin(): Promise<void> {
    await this.commands('EHLO me', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'DATA')
  }

  async reply(): Promise<string> {
    return (await this.client.reply()).text
  }

  /** Finishes a message. @returns its id in the store */
  async finish(subject: string): Promise<string> {
    const [reply] = await this.commands(`Subject: ${subject}\r\n\r\n.`)
    const [, id] = /^250 .*\b(\w{26})\b/.exec(reply ?? '') ?? []
    if (id === undefined) throw new Error(`not taken: ${reply}`)
    return id
  }

  async close(): Promise<void> {
    const { socket } = this.client
    if (socket.destroyed) return
    socket.destroy()
    await once(socket, 'close')
  }
}

/** Takes as many places as one address may have, half of them in each thread. */
async function fill(port: number): Promise<Map<string, Peer[]>> {
  const byThread = new Map<string, Peer[]>()
  const count = (): number => [...byThread.values()].reduce((sum, peers) => sum + peers.length, 0)
  while (count() < PER_ADDRESS) {
    const peer = await Peer.enter(port)
    const thread = await peer.thread()
    const peers = byThread.get(thread) ?? []
    if (peers.length < PER_ADDRESS / 2) byThread.set(thread, [...peers, peer])
    else await peer.close()
  }
  return byThread
}

async function expectFull(port: number): Promise<void> {
  const tooMany = await Peer.connect(port)
  expect(tooMany.greeting).toMatch(/^421 4\.7\.0 /)
  const others: Peer[] = []
  // The last place is kept for an address that has none.
  while (others.length < CONNECTIONS - PER_ADDRESS) others.push(await Peer.enter(port, `127.0.0.${4 + others.length}`))
  for (let i = 0; i < 5; i++) expect((await Peer.connect(port, '127.0.0.3')).greeting).toMatch(/^421 4\.7\.0 /)
  await Promise.all(others.map((peer) => peer.close()))
}

async function storedIds({ cwd }: Postern): Promise<string[]> {
  return (await listed(join(cwd, 'mail'))).records.map(({ id }) => id)
}

/** Returns the certificates that this many handshakes show. */
async function certificates(port: number, count: number): Promise<Set<string>> {
  const shown = new Set<string>()
  for (let i = 0; i < count; i++) {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    shown.add(socket.getPeerX509Certificate()?.toString() ?? '')
    socket.destroy()
    await once(socket, 'close')
  }
  return shown
}

const FLAGS = [
  [
    '--workers',
    '2',
    '--listen',
    'smtp://127.0.0.1:0',
    '--listen',
    'smtps://127.0.0.1:0',
    '--listen',
    'smtp+unix:./socket',
  ],
  [
    '--listen',
    'ws://127.0.0.1:0/pipe',
    '--front-secret',
    'x'.repeat(32),
    '--tls-key',
    'key.pem',
    '--tls-cert',
    'cert.pem',
  ],
  ['--max-connections', String(CONNECTIONS), '--max-connections-per-address', String(PER_ADDRESS)],
  // No session is idle for so long that its place goes to another one.
  ['--idle-timeout-ms', '1h'],
].flat()

test.concurrent.each(sample(Object.entries(RUNTIMES), 1, 6))(
  'on %s places are counted over all workers, a worker that dies is replaced, and all stop gracefully',
  { timeout: TIMEOUT_MS },
  async (name, command) => {
    const cwd = directory()
    await writeCertificate(join(cwd, 'key.pem'), join(cwd, 'cert.pem'))
    const store = name === 'node' ? 'fs:./mail?layout=packed' : 'fs:./mail'
    const running = await serve([...FLAGS, '--store', store], { cwd, command })
    const [port = 0, securePort = 0] = running.ports
    expect(running.stdout).toMatch(/Workers +2\n/)
    const sent: string[] = []
    const send = async (peer: Peer): Promise<void> => {
      await peer.begin()
      sent.push(await peer.finish(String(sent.length)))
    }

    // Bounds are exact, whichever worker counts, and both workers receive mail.
    const peers = await fill(port)
    expect(peers.size).toBe(2)
    await expectFull(port)
    await Promise.all([...peers.values()].flat().map(send))

    // One thread breaks and one ends itself, in turn. The connections of the other thread stay open.
    let [dying = '', staying = ''] = [...peers.keys()]
    for (const how of ['throw', 'exit']) {
      const ended = (peers.get(dying) ?? []).map((peer) => peer.client.ended())
      const [last] = peers.get(dying) ?? []
      void last?.client.send(`MAIL FROM:<a@example.com>\r\nRCPT TO:<${how}@example.com>\r\n`)
      await Promise.all(ended)
      peers.delete(dying)
      const again = '"a worker serves again"'
      await running.says(new RegExp(how === 'throw' ? again : `${again}[^]*${again}`))
      expect((peers.get(staying) ?? []).map((peer) => peer.isClosed)).not.toContain(true)
      // The places of the dead worker are free for others, and no more than those.
      await Promise.all((peers.get(staying) ?? []).map((peer) => peer.close()))
      peers.clear()
      for (const [thread, others] of await fill(port)) peers.set(thread, others)
      expect([...peers.keys()]).not.toContain(dying)
      await expectFull(port)
      await Promise.all([...peers.values()].flat().map(send))
      dying = staying
      staying = [...peers.keys()].find((thread) => thread !== dying) ?? ''
    }
    await running.says(/"message":"a worker stops after an uncaught error".*broken by a hook/)
    await running.says(/"message":"a worker ended and will be started again".*"exitCode":3/)
    await Promise.all([...peers.values()].flat().map((peer) => peer.close()))

    // If only one worker can listen, the worker that is meant for it does.
    const local = await Peer.enter(join(cwd, 'socket'))
    await send(local)
    await local.close()
    const [, pipePort] = /ws:\/\/127\.0\.0\.1:(\d+)/.exec(running.stdout) ?? []
    for (let i = 0; i < 3; i++) expect((await fetch(`http://127.0.0.1:${pipePort}/pipe`)).status).toBe(426)

    const before = await certificates(securePort, 3)
    expect(before.size).toBe(1)
    const { cert: renewed } = await writeCertificate(join(cwd, 'key.pem'), join(cwd, 'cert.pem'))
    running.signal('SIGHUP')
    await running.says(/"message":"certificates read again"/)
    expect([...(await certificates(securePort, 10))].map((pem) => pem.trim())).toEqual([renewed.trim()])

    // Work in progress finishes in every thread.
    const busy = [...(await fill(port)).values()]
    for (const [sending] of busy) await sending?.begin()
    running.signal('SIGTERM')
    await running.says(/Stopping: mail in progress in \d+ sessions may take/)
    for (const [, idle] of busy) expect(await idle?.reply()).toMatch(/^421 4\.3\.2 /)
    for (const [sending] of busy) sent.push((await sending?.finish('the end')) ?? '')
    expect(await running.ended).toBe(0)
    expect(running.stdout).toMatch(/\nStopped\.\n$/)
    expect((await storedIds(running)).toSorted()).toEqual(sent.toSorted())
    expect([...running.stdout.matchAll(/^kept (\w+) /gm)].map(([, id]) => id).toSorted()).toEqual(sent.toSorted())
  },
)

test.concurrent.each(sample(Object.entries(RUNTIMES), 1, 7))(
  'on %s an idle session loses its place to a newcomer in the same worker',
  { timeout: TIMEOUT_MS },
  async (_, command) => {
    const flags = ['--max-connections', '8', '--idle-timeout-ms', '60s', '--workers', '2']
    const running = await serve(flags, { command, cwd: directory() })
    const [port = 0] = running.ports
    const idle: Peer[] = []
    while (idle.length < 8) idle.push(await Peer.enter(port))
    const threads = new Map<Peer, string>()
    for (const peer of idle) threads.set(peer, await peer.thread())
    const ends = idle.map(async (peer) => ({ peer, reply: await peer.reply() }))

    const newcomer = await Peer.enter(port, '127.0.0.2')
    const { peer, reply } = await Promise.race(ends)
    expect(reply).toMatch(/^421 4\.7\.0 .* idle$/)
    expect(await newcomer.thread()).toBe(threads.get(peer))
    // All workers together never have more than the bound.
    await peer.client.ended()
    expect(idle.filter(({ isClosed }) => isClosed)).toEqual([peer])
    expect((await Peer.connect(port)).greeting).toMatch(/^421 4\.7\.0 /)
    for (const each of [...idle, newcomer]) each.client.close()
    await Promise.allSettled(ends)
  },
)

test.concurrent.each(sample(Object.entries(RUNTIMES), 1, 8))(
  'on %s workers refuse an address that is in use, and a second signal stops all of them at once',
  { timeout: TIMEOUT_MS },
  async (_, command) => {
    const running = await serve(['--workers', '2'], { command })
    const listen = `smtp://127.0.0.1:${running.ports[0]}`
    const { code, stderr } = await postern(['serve', '--workers', '2', '--listen', listen], { command })
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^postern: --listen smtp:.*the address is in use.*\n$/)])

    const peer = await Peer.enter(running.ports[0] ?? 0)
    await peer.begin()
    running.signal('SIGTERM')
    await running.says(/Stopping: mail in progress in one session/)
    running.signal('SIGTERM')
    expect(await running.ended).toBe(143)
  },
)

test.concurrent('an error at the start of a worker is one line', async () => {
  const inThread = `import { isMainThread } from 'node:worker_threads'
    if (!isMainThread) throw new Error('not in a thread')
    export default {}`
  const { code, stdout, stderr } = await postern(['serve', '--workers', '2', '--listen', 'smtp://127.0.0.1:0'], {
    cwd: directory(inThread),
  })
  expect([code, stdout, stderr]).toEqual([2, '', 'postern: postern.config.ts:2: not in a thread\n'])
})

test.concurrent('a server whose workers can no longer start ends, and says why', { timeout: TIMEOUT_MS }, async () => {
  const running = await serve(['--workers', '2'], { cwd: directory() })
  // The operator must fix a broken hook. After a restart the operator sees that it is broken.
  writeFileSync(join(running.cwd, 'postern.config.ts'), 'export default { workers: 0 }')
  const peer = await Peer.enter(running.ports[0] ?? 0)
  void peer.client.send('EHLO me\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<exit@example.com>\r\n')
  expect(await running.ended).toBe(1)
  expect(running.stderr.match(/"a worker cannot start".*workers in postern\.config\.ts: 0 is not/g)).toHaveLength(5)
})

test.concurrent('on Deno --workers needs a flag, and the error names it', async () => {
  const { code, stderr } = await postern(['serve', '--workers', '2'], { command: DENO })
  expect([code, stderr]).toEqual([2, 'postern: --workers 2: Deno needs its flag --unstable-net to share a port\n'])
})

test.concurrent('memory: with workers is refused', async () => {
  const { code, stderr } = await postern(['serve', '--workers', '2', '--store', 'memory:'])
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(/^postern: --workers: needs a store that all workers share.*\n$/),
  ])
})
