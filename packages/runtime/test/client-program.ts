/** Runs the contract of the client on the runtime that runs this: `node`, `deno run -A` or `bun run`. */
import { createServer, type Listener, type Server, type SessionOverrides } from '@postern/engine'
import type { Client, ServerAddress } from '@postern/engine/client'
import process from 'node:process'
import { clientOutcomes } from '../../../test/contracts/client/client.ts'
import type { Ground, Way } from '../../../test/contracts/client/check.ts'
import { contractServer } from '../../../test/contracts/client/server.ts'
import { report } from '../../../test/contracts/outcome.ts'
import { sample } from '../../../test/kit/sample.ts'
import { Scratch } from '../../../test/kit/scratch.ts'
import type { ConnectOptions } from '../src/sockets/client.ts'
import type { Acceptor, ListenOptions } from '../src/sockets/inbound.ts'
import { selfSigned } from '../src/sockets/tls/index.ts'

/** The exports of a server runtime's folder that the contract uses. */
interface Runtime {
  listen(server: Acceptor, options: ListenOptions): Promise<Listener>
  connect(server: string | ServerAddress, options: ConnectOptions): Promise<Client>
}

/** Cuts of the server's bytes on a runtime other than Node. */
const SOME_CUTS = 40

const name = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'
const { listen, connect } = (await import(`../src/${name}/index.ts`)) as Runtime
const scratch = await Scratch.make()
const host = '127.0.0.1'
const certificate = await selfSigned()
const ofClient = await selfSigned({ hosts: ['client.postern.example'] })
const tls = { ...certificate, clientCertificates: 'request', ca: ofClient.cert } as const
const listeners: Listener[] = []

async function serve(server: Server, options: ListenOptions, overrides: SessionOverrides = {}): Promise<number> {
  const acceptor: Acceptor = { accept: (duplex) => server.accept(duplex, overrides) }
  const listener = await listen(acceptor, options)
  listeners.push(listener)
  return listener.address.port
}

const server = createServer(contractServer())
const old = createServer(contractServer(true))
const place = { host, port: 0 }
const path = scratch.join('lmtp')
await serve(server, { path }, { protocol: 'lmtp' })
const urls: Readonly<Record<Way, string>> = {
  clear: `smtp://${host}:${await serve(server, place)}`,
  STARTTLS: `smtp+starttls://${host}:${await serve(server, { ...place, tls })}`,
  'implicit TLS': `smtps://${host}:${await serve(server, { ...place, tls, implicitTls: true })}`,
  LMTP: `lmtp://${host}:${await serve(server, place, { protocol: 'lmtp' })}`,
  'LMTP over a Unix socket': `lmtp+unix:${path}`,
  'old server': `smtp://${host}:${await serve(old, place)}`,
  'untrusted server': `smtp+starttls://${host}:${await serve(server, { ...place, tls: await selfSigned() })}`,
}
const ground: Ground = {
  urls,
  certificate: ofClient,
  connect: (url, options = {}) => connect(url, { ...options, tls: { ca: certificate.cert, ...options.tls } }),
}

await report(clientOutcomes(name, ground, name === 'node' ? undefined : (places) => sample(places, SOME_CUTS)))
await Promise.all(listeners.map((listener) => listener.close()))
await scratch[Symbol.asyncDispose]()
// Does not wait for work that a check left open.
process.exit(0)
