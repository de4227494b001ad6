/** How `connect` fails, and what it says of itself. The contract of the client has what it does on each runtime. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { hostname } from 'node:os'
import { expect, onTestFinished, test } from 'vitest'
import { type ConnectOptions, connect } from '../src/node/index.ts'

/** Listens, answers with these replies in turn, the first of which is the greeting, and collects the lines of clients. */
async function listening(...replies: readonly string[]): Promise<{ port: number; lines: string[]; remotes: string[] }> {
  const sockets = new Set<Socket>()
  const lines: string[] = []
  const remotes: string[] = []
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    remotes.push(socket.remoteAddress ?? '')
    const left = [...replies]
    const answer = (): void => void socket.write(left.shift() ?? '')
    socket.setEncoding('utf8').on('data', (text: string) => {
      lines.push(...text.trimEnd().split('\r\n'))
      answer()
    })
    answer()
  })
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return { port: (server.address() as AddressInfo).port, lines, remotes }
}

test.each<[string, ConnectOptions, object]>([
  [
    'smtp://127.0.0.1:1',
    {},
    { reason: 'closed', message: expect.stringMatching(/^cannot connect to 127\.0\.0\.1:1: /) },
  ],
  ['smtps://127.0.0.1:1', {}, { reason: 'closed' }],
  ['smtp://[::1]:1', {}, { reason: 'closed', message: expect.stringMatching(/^cannot connect to \[::1\]:1: /) }],
  ['lmtp+unix:/nowhere/at/all', {}, { reason: 'closed', cause: { code: 'ENOENT' } }],
  ['smtp://127.0.0.1:1', { signal: AbortSignal.abort() }, { reason: 'aborted' }],
])('an attempt to connect to %s with %j fails for now', async (url, options, facts) => {
  await expect(connect(url, options)).rejects.toMatchObject({
    name: 'ClientError',
    stage: 'connect',
    isTemporary: true,
    ...facts,
  })
})

test('an attempt to connect fails at its time limit, and when the signal ends it', async () => {
  const { port } = await listening()
  const url = `smtps://127.0.0.1:${port}`
  await expect(connect(url, { connectTimeoutMs: 100 })).rejects.toMatchObject({ stage: 'connect', reason: 'timeout' })
  const controller = new AbortController()
  const attempt = connect(url, { signal: controller.signal })
  setImmediate(() => controller.abort())
  await expect(attempt).rejects.toMatchObject({ stage: 'connect', reason: 'aborted' })
})

test.each<[string, ConnectOptions]>([
  ['http://127.0.0.1', {}],
  ['smtp://127.0.0.1:1', { connectTimeoutMs: 0 }],
])('a mistake of the caller is no ClientError: %s with %j', async (url, options) => {
  const error = await connect(url, options).catch((reason: Error) => reason)
  expect((error as Error).name).toMatch(/^(TypeError|RangeError)$/)
})

test('the client greets with the name of the system if that has a dot, and with its address otherwise', async () => {
  const { port, lines, remotes } = await listening('220 mx.example\r\n', '250 mx.example\r\n')
  const client = await connect(`smtp://127.0.0.1:${port}`, { localAddress: '127.0.0.2' })
  client.destroy()
  const name = hostname()
  expect(lines).toEqual([`EHLO ${name.includes('.') ? name : '[127.0.0.2]'}`])
  expect(remotes).toEqual(['127.0.0.2'])
})

test('a handshake that fails behind STARTTLS is an error of one line', async () => {
  const hello = '250-mx.example\r\n250 STARTTLS\r\n'
  const { port } = await listening('220 mx.example\r\n', hello, '220 go\r\n', 'this is no handshake\r\n')
  const attempt = connect(`smtp://127.0.0.1:${port}`)
  await expect(attempt).rejects.toMatchObject({
    stage: 'starttls',
    reason: 'tls',
    message: expect.stringMatching(/^.+$/),
  })
})
