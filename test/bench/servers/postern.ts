/** Postern: the engine on this runtime's own sockets, with every check of its defaults on. One file for all three runtimes. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type Handlers, type Listener, type Message } from '@postern/engine'
import { announce, readServerOptions } from './options.ts'
import { keepOnDisk } from './on-disk.ts'
import { keepInMemory } from './in-memory.ts'

const MiB = 1024 * 1024
const { store, directory, keyFile, certFile } = readServerOptions()
const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'
const { listen } = (await import(`@postern/runtime/${runtime}`)) as typeof import('@postern/runtime/node')

/** Reads the message to its end and drops it. */
async function discard(message: Message): Promise<void> {
  for (;;) {
    const bytes = message.read()
    if ((bytes instanceof Promise ? await bytes : bytes) === null) return
  }
}

/** The same with the digest that a store keeps of each message. */
async function hash(message: Message): Promise<void> {
  const digest = createHash('sha256')
  for (;;) {
    const read = message.read()
    const bytes = read instanceof Promise ? await read : read
    if (bytes === null) break
    digest.update(bytes)
  }
  digest.digest()
}

function chooseStore(): NonNullable<Handlers['data']> {
  switch (store) {
    case 'discard':
      return discard
    case 'hash':
      return hash
    case 'memory':
      return keepInMemory()
    case 'fs':
      if (directory === undefined) throw new Error('--directory: the fs store needs one')
      return keepOnDisk(directory)
    default:
      throw new Error(`--store: ${store} is not discard, hash, memory or fs`)
  }
}

const server = createServer({
  hostname: 'mx.example.com',
  // All connections come from one address here.
  limits: { maxMessageBytes: 100 * MiB, maxConnections: 100_000, maxConnectionsPerAddress: 100_000 },
  auth: { mechanisms: ['PLAIN'], authenticate: () => ({ user: 'someone' }) },
  data: chooseStore(),
  error: (error) => console.error(error),
})
const tls =
  keyFile === undefined || certFile === undefined
    ? {}
    : { tls: { key: readFileSync(keyFile), cert: readFileSync(certFile) } }
const listener: Listener = await listen(server, { port: 0, host: '127.0.0.1', ...tls })
announce({ port: listener.address.port })
