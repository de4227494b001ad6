/** A server behind a proxy, on a free port, and the headers that a proxy sends before the bytes of a client. */
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { Duplex as NodeDuplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import {
  addressRanges,
  type ArrivalError,
  createServer,
  type Endpoint,
  type Server,
  type ServerOptions,
  type SessionOverrides,
  type TlsInfo,
} from '@postern/engine'
import { listen } from '@postern/runtime/node'
import { sharedCertificate } from '../kit/certificate.ts'
import { type BinaryHeader, encodeBinary, ports } from '../../packages/engine/test/proxy-encoder.ts'
import { SocketClient } from '../kit/client/socket-client.ts'

export const REMOTE: Endpoint = { family: 'ipv4', address: '192.0.2.7', port: 51_234 }
export const LOCAL: Endpoint = { family: 'ipv4', address: '198.51.100.25', port: 25 }

/** Makes a header of version 1. */
export function line(source: Endpoint = REMOTE): string {
  const { family, address, port } = source
  return `PROXY ${family === 'ipv4' ? 'TCP4' : 'TCP6'} ${address} ${family === 'ipv4' ? LOCAL.address : '2001:db8::25'} ${port} 25\r\n`
}

/** Makes a header of version 2. Default: TCP over IPv4 from {@link REMOTE}. */
export function binary(header: BinaryHeader = {}): Uint8Array {
  return encodeBinary({ addresses: ports([192, 0, 2, 7], [198, 51, 100, 25], 51_234, 25), ...header })
}

/** A session as the `connect` hook saw it. */
export interface Seen {
  readonly remote: Endpoint
  readonly local: Endpoint
  readonly tls: TlsInfo | undefined
}

export interface ProxiedOptions {
  readonly options?: Partial<ServerOptions>
  /** The trusted proxies. Default: this machine. */
  readonly trusted?: 'all' | readonly string[]
  readonly overrides?: SessionOverrides
}

export class ProxiedService implements AsyncDisposable {
  readonly server: Server
  readonly port: number
  readonly seen: Seen[]
  readonly errors: ArrivalError[]
  /** The trace fields of the accepted messages. */
  readonly traces: string[]
  readonly #closeListener: () => Promise<void>
  readonly #clients = new Set<SocketClient>()

  private constructor(
    made: Pick<ProxiedService, 'server' | 'port' | 'seen' | 'errors' | 'traces'>,
    close: () => Promise<void>,
  ) {
    this.server = made.server
    this.port = made.port
    this.seen = made.seen
    this.errors = made.errors
    this.traces = made.traces
    this.#closeListener = close
  }

  static async start({ options, trusted = ['127.0.0.1'], overrides }: ProxiedOptions = {}): Promise<ProxiedService> {
    const seen: Seen[] = []
    const errors: ArrivalError[] = []
    const traces: string[] = []
    const server = createServer({
      hostname: 'mx.example.com',
      connect({ remote, local, tls }) {
        seen.push({ remote, local, tls })
      },
      async data(message) {
        traces.push(Buffer.from(message.trace).toString())
        await message.bytes()
      },
      error(error) {
        errors.push(error as ArrivalError)
      },
      ...options,
    })
    const listener = await listen(server, {
      host: '127.0.0.1',
      port: 0,
      lingerMs: 500,
      tls: await sharedCertificate(),
      overrides: { proxyProtocol: { trusted: addressRanges(trusted) }, ...overrides },
    })
    return new ProxiedService({ server, port: listener.address.port, seen, errors, traces }, () => listener.close())
  }

  /** Connects, and sends the header if one is given. */
  async connect(first: string | Uint8Array = ''): Promise<SocketClient> {
    const client = await SocketClient.connect(this.port, { isHalfOpen: true })
    this.#clients.add(client)
    if (first.length > 0) client.send(first)
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close()
    await this.#closeListener()
    await this.server.close({ graceMs: 0 })
  }
}

/** Puts the header before the first bytes of the client. `send` decides how. */
export type Sending = (
  header: Uint8Array,
  hello: Uint8Array,
  write: (bytes: Uint8Array) => void,
) => void | Promise<void>

/** Returns a client of implicit TLS behind a proxy, after its handshake. */
export async function securedBehind(port: number, header: Uint8Array, send: Sending): Promise<TLSSocket> {
  const raw = connectTcp({ port, host: '127.0.0.1', noDelay: true })
  await once(raw, 'connect')
  let isFirst = true
  const transport = new NodeDuplex({
    read() {},
    write(chunk: Uint8Array, _, done) {
      if (!isFirst) return void raw.write(chunk, done)
      isFirst = false
      void Promise.resolve(send(header, chunk, (bytes) => void raw.write(bytes))).then(() => done(), done)
    },
    final: (done) => void raw.end(done),
    destroy(error, done) {
      raw.destroy()
      done(error)
    },
  })
  raw.on('data', (chunk) => transport.push(chunk))
  raw.on('end', () => transport.push(null))
  raw.on('close', () => transport.destroy())
  raw.on('error', (error) => transport.destroy(error))
  const secure = connectTls({ socket: transport, rejectUnauthorized: false, servername: 'mx.example.com' })
  await once(secure, 'secureConnect')
  return secure
}
