/** The entrance for pipes before a client has shown a token, and invalid options of a front. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { selfSigned, TlsCredentials } from '@postern/runtime/tls'
import { type FrontGuard, frontGuard, pipeHeaders } from '@postern/runtime/websocket'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { parsePipeUrl } from '../src/config/urls/pipe-url.ts'
import { parseListenUrl } from '../src/config/urls/listen-url.ts'
import { listenForPipes } from '../src/serve/pipe.ts'
import { postern } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'

const host = '127.0.0.1'
const secret = 'what this test and its server know, and nobody else'

async function entrance(guard: FrontGuard, maxHandshakes = 500, tls?: TlsCredentials, at = host) {
  const errors: string[] = []
  const accepted: unknown[] = []
  const listener = await listenForPipes(
    { accept: (duplex) => accepted.push(duplex) },
    {
      guard,
      host: at,
      port: 0,
      pathname: '/pipe',
      tls,
      handshakeTimeoutMs: 20_000,
      maxHandshakes,
      error: (error) => errors.push(error.message),
      refused: (reason) => errors.push(reason),
    },
  )
  onTestFinished(() => listener.close())
  const { port } = listener.address
  return { port, url: `ws://${host}:${port}/pipe`, errors, accepted, listener }
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, host)
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

async function ask(url: string): Promise<number | undefined> {
  const facts = {
    remote: { family: 'unknown', address: '', port: 0 },
    local: { family: 'unknown', address: '', port: 0 },
    canStartTls: false,
    submission: false,
  } as const
  const socket = new WebSocket(url, { headers: { ...(await pipeHeaders(facts, { secret, url })) } })
  onTestFinished(() => socket.terminate())
  socket.on('error', () => {})
  return new Promise((resolve) => {
    socket.on('unexpected-response', (_, { statusCode }) => resolve(statusCode))
    socket.on('open', () => resolve(101))
  })
}

test('if too many connections have no token, the oldest of them is closed; fronts with a token stay', async () => {
  const { port, url } = await entrance(frontGuard({ secrets: secret }), 2)
  expect(await ask(url)).toBe(101)
  const first = await open(port)
  const gone = once(first, 'close')
  const second = await open(port)
  const third = await open(port)
  await gone
  expect([second.destroyed, third.destroyed]).toEqual([false, false])
  expect(await ask(url)).toBe(101)
  second.destroy()
  third.destroy()
})

// Bun accepts all waiting connections before it reports that one was closed.
test.each(sample(['node', 'bun'] as const, 1, 10))(
  'the number of connections without a token is bounded: %s',
  async (name) => {
    const [program, ...before] = COMMANDS[name]
    const child = spawn(program, [...before, join(import.meta.dirname, 'front-burst-program.ts')])
    onTestFinished(() => void child.kill())
    const [port] = (await once(child.stdout, 'data')) as [Buffer]
    child.stdin.write('look away')
    await once(child.stdout, 'data')
    await sleep(100)
    let closed = 0
    const sockets = Array.from({ length: 100 }, () =>
      connect(Number(port.toString()), host)
        .on('error', () => {})
        .on('close', () => closed++),
    )
    await vi.waitUntil(() => closed === 90, { timeout: 30_000 })
    for (const socket of sockets) socket.destroy()
  },
)

test.each(sample(['node', 'deno', 'bun'] as const, 1, 11))(
  'a slow front keeps its place while another address opens many connections: %s',
  async (name) => {
    const [program, ...before] = COMMANDS[name]
    const child = spawn(program, [...before, join(import.meta.dirname, 'front-burst-program.ts')])
    onTestFinished(() => void child.kill())
    const [told] = (await once(child.stdout, 'data')) as [Buffer]
    const port = Number(told.toString())
    const slow = await open(port)
    await sleep(50)
    let closed = 0
    const flood = Array.from({ length: 40 }, () =>
      connect({ port, host, localAddress: '127.0.0.2' })
        .on('error', () => {})
        .on('close', () => closed++),
    )
    await vi.waitUntil(() => closed === 31, { timeout: 30_000 })
    slow.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const [answer] = (await once(slow, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 426 /)
    for (const socket of [slow, ...flood]) socket.destroy()
  },
)

test('connections from one client port to two of our addresses are counted separately', async () => {
  const { port } = await entrance(frontGuard({ secrets: secret }), 2, undefined, '0.0.0.0')
  const from = { localAddress: host, localPort: 20_000 + (process.pid % 10_000), port }
  const first = connect({ ...from, host: '127.0.0.1' })
  await once(first, 'connect')
  const gone = once(first, 'close')
  const second = connect({ ...from, host: '127.0.0.2' })
  await once(second, 'connect')
  const third = await open(port)
  await gone
  expect([second.destroyed, third.destroyed]).toEqual([false, false])
  second.destroy()
  third.destroy()
})

test('if the memory of tokens fails, the front gets 500, the error is reported, and the server goes on', async () => {
  let isBroken = true
  const memory = {
    add: async () => {
      if (isBroken) throw new Error('no database')
      return true
    },
  }
  const { url, errors, accepted } = await entrance(frontGuard({ secrets: secret, memory }))
  expect(await ask(url)).toBe(500)
  expect([errors, accepted]).toEqual([['no database'], []])
  isBroken = false
  expect(await ask(url)).toBe(101)
  expect(accepted).toHaveLength(1)
})

test('a connection without a token is closed after the timeout', async () => {
  const { port, listener } = await entrance(frontGuard({ secrets: secret }))
  const waiting = await open(port)
  // After the listener has answered something on a later connection, it has this one too.
  const other = await open(port)
  other.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(other, 'data')
  const gone = once(waiting, 'close')
  await listener.close()
  await gone
})

test('a new certificate is used from the next connection on', async () => {
  const [old, next] = [await selfSigned({ hosts: ['old.example'] }), await selfSigned({ hosts: ['new.example'] })]
  const tls = new TlsCredentials(old)
  const { port } = await entrance(frontGuard({ secrets: secret }), 500, tls)
  const shown = async (): Promise<string | undefined> => {
    const socket = connectTls({ port, host, rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const { subject } = socket.getPeerX509Certificate() ?? {}
    socket.destroy()
    return subject
  }
  expect(await shown()).toBe('CN=old.example')
  tls.update(next)
  expect(await shown()).toBe('CN=new.example')
})

test.each([
  ['ws://127.0.0.1:8025/pipe', { host: '127.0.0.1', port: 8025, pipePath: '/pipe', implicitTls: false }],
  ['wss://*/a/b', { host: undefined, port: 443, pipePath: '/a/b', implicitTls: true }],
  ['ws://[::1]', { host: '::1', port: 80, pipePath: '/' }],
  ['smtp://127.0.0.1:25', { pipePath: undefined }],
])('reads the listen URL %s', (url, address) => {
  expect(parseListenUrl(url)).toMatchObject(address)
})

test.each(['ws+unix:/a', 'ws://a/#b', 'ws://a:b@c/', 'http://a/', 'smtp://a/pipe'])(
  'rejects the listen URL %s',
  (url) => expect(parseListenUrl(url)).toBeUndefined(),
)

test.each(['https://a/', 'wss://a:b@c/', 'wss://a/?b', 'wss://a/#b', 'a', 'wss://'])('rejects the pipe URL %s', (url) =>
  expect(parsePipeUrl(url)).toBeUndefined(),
)

describe.concurrent('a mistake is one line that says what to do', () => {
  const to = ['--to', 'ws://127.0.0.1:1/pipe']
  const known = ['--front-secret', '0123456789abcdef0123456789abcdef']
  const mistakes: readonly (readonly [string, string, readonly string[]])[] = [
    ['front', '--to: needs the URL of the server behind the front', known],
    ['front', '--to: needs the secret that it shares with the server', to],
    ['front', '--to: "http://a/" is not the URL of a pipe', ['--to', 'http://a/', ...known]],
    ['front', '--to ws://mail.example/pipe: needs TLS', ['--to', 'ws://mail.example/pipe', ...known]],
    [
      'front',
      '--listen ws://127.0.0.1:0/: only a server can listen there',
      [...to, ...known, '--listen', 'ws://127.0.0.1:0/'],
    ],
    [
      'front',
      '--listen smtps://127.0.0.1:0: needs a certificate',
      [...to, ...known, '--listen', 'smtps://127.0.0.1:0'],
    ],
    ['front', '--to-ca nowhere.pem: ', [...to, ...known, '--to-ca', 'nowhere.pem']],
    ['front', '--to: "wss://(credentials)@a/" is not the URL', ['--to', 'wss://me:shortandsecret@a/', ...known]],
    ['front', '--front-secret: the value (not shown) is not at least 32', [...to, '--front-secret', 'shortandsecret']],
    [
      'serve',
      '--listen ws://127.0.0.1:0/: needs the secret that its fronts sign with',
      ['--listen', 'ws://127.0.0.1:0/'],
    ],
    ['serve', '--listen wss://127.0.0.1:0/: needs a certificate', [...known, '--listen', 'wss://127.0.0.1:0/']],
  ]
  test.each(sample(mistakes, 2))('%s: %s', async (command, line, flags) => {
    const { code, stderr } = await postern([command, ...flags])
    expect(stderr).toContain(line)
    expect(stderr).toMatch(/^postern: .*\n$/)
    expect(stderr).not.toContain('shortandsecret')
    expect(code).toBe(2)
  })
})
