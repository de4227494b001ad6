/** `handler` and `accept` in raw workerd: the peer's address, STARTTLS, Durable Objects, service bindings, many sessions. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { dial, selfSigned } from '../src/node/index.ts'
import { MiB, pattern } from '../../../test/contracts/duplex/exchange.ts'
import { DuplexClient } from '../../../test/kit/client/duplex-client.ts'
import { bundle, COMPATIBILITY_DATE, serveWorkerd } from './workerd/serving.ts'

const DOORS = ['worker', 'implicit TLS', 'object', 'binding'] as const
type Door = (typeof DOORS)[number]

const certificate = await selfSigned()
const keyPair = 'keypair = (privateKey = embed "key.pem", certificateChain = embed "cert.pem")'
const TCP: Readonly<Record<Door | 'STARTTLS', string>> = {
  worker: '()',
  STARTTLS: `(tlsOptions = (${keyPair}), tlsMode = startTls)`,
  'implicit TLS': `(tlsOptions = (${keyPair}))`,
  object: '()',
  binding: '()',
}

function service(name: string, door: Door, more = ''): string {
  return `(name = "${name}", worker = (modules = [(name = "worker", esModule = embed "worker.js")],
    compatibilityDate = "${COMPATIBILITY_DATE}", ${more}
    durableObjectNamespaces = [(className = "Mailbox", uniqueKey = "${name}")], durableObjectStorage = (inMemory = void),
    bindings = [(name = "DOOR", text = "${door}"), (name = "OBJECTS", durableObjectNamespace = "Mailbox"),
      (name = "MAIL", service = "worker")]))`
}

const sockets = Object.entries(TCP).map(
  ([name, tcp]) => `(name = "${name}", address = "127.0.0.1:0", tcp = ${tcp}, service = "${name}")`,
)
sockets.push('(name = "http", address = "127.0.0.1:0", http = (), service = "worker")')
const services = [
  '(name = "internet", network = (allow = ["private"], tlsOptions = (trustedCertificates = [embed "cert.pem"])))',
  ...DOORS.map((door) => service(door, door)),
  service('STARTTLS', 'worker', 'compatibilityFlags = ["connect_handler_starttls"],'),
]
const workerd = await serveWorkerd(
  {
    'config.capnp': `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [${services.join(',\n')}], sockets = [${sockets.join(',\n')}]);
`,
    'worker.js': await bundle(resolve(import.meta.dirname, 'workerd/mail-worker.ts')),
    'key.pem': certificate.key,
    'cert.pem': certificate.cert,
  },
  [...Object.keys(TCP), 'http'],
)
afterAll(() => workerd[Symbol.asyncDispose]())

/** The facts about a message that the Worker's server returns. */
interface Facts {
  readonly remote: unknown
  readonly isTls: boolean
  readonly trace: string
  readonly size: number
  readonly sha256: string
}

async function open(name: keyof typeof TCP): Promise<DuplexClient> {
  const implicitTls = name === 'implicit TLS'
  const tls = { ca: certificate.cert, servername: 'localhost' }
  // On a busy machine the answer to a client that has ended may come late.
  const lingerMs = 60_000
  const duplex = await dial({ host: '127.0.0.1', port: workerd.ports[name] ?? 0, tls, implicitTls, lingerMs })
  const client = new DuplexClient(duplex)
  expect((await client.reply()).raw).toMatch(/^220 worker\.example /)
  return client
}

/** Sends a message, ends, and only then reads the answer. */
async function send(client: DuplexClient, message: Uint8Array): Promise<Facts> {
  await client.command('EHLO client.example', 250)
  await client.command('MAIL FROM:<a@b.example>', 250)
  await client.command('RCPT TO:<c@worker.example>', 250)
  await client.send(`BDAT ${message.byteLength} LAST\r\n`)
  for (let at = 0; at < message.byteLength; at += 65_536) await client.send(message.subarray(at, at + 65_536))
  client.end()
  const { text } = await client.expect(250, '2.0.0')
  await client.repliesToEnd()
  return JSON.parse(text.slice('250 2.0.0 '.length)) as Facts
}

const MESSAGE = new TextEncoder().encode('Subject: workerd\r\n\r\nHello\r\n')
const NOWHERE = { family: 'unknown', address: '', port: 0 }

test('handler takes the address of the peer from the socket, and a message arrives whole', async () => {
  const client = await open('worker')
  const { address, port } = client.duplex.local
  const { remote, isTls, size } = await send(client, MESSAGE)
  expect({ remote, isTls, size }).toEqual({
    remote: { family: 'ipv4', address, port },
    isTls: false,
    size: MESSAGE.byteLength,
  })
})

test('the server does not offer STARTTLS without the compatibility flag', async () => {
  const client = await open('worker')
  expect((await client.command('EHLO client.example')).raw).not.toContain('STARTTLS')
  expect((await client.command('STARTTLS')).raw).toMatch(/^50/)
  client.close()
})

test('the server offers STARTTLS once, and the session after it is TLS', async () => {
  const client = await open('STARTTLS')
  expect((await client.command('EHLO client.example')).raw).toContain('STARTTLS')
  expect((await client.command('STARTTLS')).raw).toMatch(/^220/)
  await client.startTls()
  expect((await client.command('EHLO client.example')).raw).not.toContain('STARTTLS')
  const { isTls, trace } = await send(client, MESSAGE)
  expect(isTls).toBe(true)
  expect(trace).toMatch(/with ESMTPS\s+id /)
})

// STARTTLS injection (CVE-2011-0411): bytes that came in clear must not count as bytes that came over TLS.
test.each(['STARTTLS\r\nNOOP\r\n', 'STARTTLS\r\n|NOOP\r\n'])(
  'bytes in clear behind STARTTLS are not run as commands: %j',
  async (text) => {
    const client = await open('STARTTLS')
    expect((await client.command('EHLO client.example')).raw).toContain('STARTTLS')
    for (const [index, packet] of text.split('|').entries()) {
      if (index > 0) expect((await client.reply()).raw).toMatch(/^220/)
      await client.send(packet)
    }
    // It may end by a reset too.
    await client.ended()
    expect(client.unread).not.toContain('250')
  },
)

test('the session is TLS if the caller says that TLS ended before the Worker', async () => {
  const client = await open('implicit TLS')
  const { isTls, trace } = await send(client, MESSAGE)
  expect(isTls).toBe(true)
  expect(trace).toMatch(/with ESMTPS\s+id /)
})

test('a socket that is passed to a Durable Object has the given peer, and 10 MiB arrive whole', async () => {
  const client = await open('object')
  const message = pattern(10 * MiB).map((byte) => (byte === 10 || byte === 13 ? 0x20 : byte))
  const { address, port } = client.duplex.local
  const { remote, size, sha256 } = await send(client, message)
  expect(remote).toEqual({ family: 'ipv4', address, port })
  expect({ size, sha256 }).toEqual({
    size: message.byteLength,
    sha256: createHash('sha256').update(message).digest('hex'),
  })
})

test('a socket from a service binding has an unknown peer, and 10 MiB arrive whole', async () => {
  const client = await open('binding')
  const message = pattern(10 * MiB).map((byte) => (byte === 10 || byte === 13 ? 0x20 : byte))
  const { remote, size, sha256 } = await send(client, message)
  expect(remote).toEqual(NOWHERE)
  expect({ size, sha256 }).toEqual({
    size: message.byteLength,
    sha256: createHash('sha256').update(message).digest('hex'),
  })
})

test('the Worker serves 1,000 sessions at the same time', async () => {
  const clients = await Promise.all(Array.from({ length: 1_000 }, () => open('worker')))
  const facts = await Promise.all(clients.map((client) => send(client, MESSAGE)))
  expect(facts.filter(({ size }) => size === MESSAGE.byteLength)).toHaveLength(1_000)
})

async function dialFromWorker(options: object): Promise<unknown> {
  const body = JSON.stringify({ host: '127.0.0.1', ...options })
  const answer = await fetch(`http://127.0.0.1:${workerd.ports['http']}/`, { method: 'POST', body })
  return answer.json()
}

test('dial makes implicit TLS if the certificate has the right name', async () => {
  const port = workerd.ports['implicit TLS'] ?? 0
  const trusted = { port, implicitTls: true, tls: { servername: 'localhost' } }
  expect(await dialFromWorker(trusted)).toMatchObject({ isTls: true })
  expect(await dialFromWorker({ ...trusted, tls: { servername: 'other.example' } })).not.toHaveProperty('isTls')
})

test('dial connects to an address of IPv6', async () => {
  const server = createServer((socket) => socket.on('error', () => {}).end()).listen(0, '::1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  expect(await dialFromWorker({ host: '::1', port })).toMatchObject({
    remote: { family: 'ipv6', address: '::1', port },
  })
  server.close()
})

test('dial rejects if no server listens, if the server is silent, and if the caller aborts', async () => {
  const silent = createServer((socket) => socket.resume()).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const secure = { port, implicitTls: true, tls: { servername: 'localhost' } }
  try {
    expect(await dialFromWorker({ ...secure, connectTimeoutMs: 100 })).toEqual({ name: 'Error', code: 'ETIMEDOUT' })
    expect(await dialFromWorker({ ...secure, abortAfterMs: 100 })).toEqual({ name: 'TimeoutError', code: '' })
  } finally {
    silent.close()
  }
  await once(silent, 'close')
  expect(await dialFromWorker({ port })).not.toHaveProperty('isTls')
  expect(await dialFromWorker({ port, implicitTls: true })).toEqual({ name: 'TypeError', code: '' })
})
