/** A recording server on a free port, and clients of it. */
import {
  createServer,
  type Duplex,
  type Endpoint,
  type Handlers,
  type Server,
  type ServerOptions,
  type SessionOverrides,
} from '@postern/engine'
import { listen } from '@postern/runtime/node'
import { sharedCertificate } from '../kit/certificate.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { eventually } from '../kit/waiting.ts'
import { CountedDuplex } from './counted.ts'
import {
  emptyRecord,
  overridesOf,
  pick,
  type Profile,
  type Record,
  type RecordOf,
  recordingServer,
} from './recorder.ts'

export interface ServiceOptions {
  /** Hooks that replace the recording ones. */
  readonly handlers?: Handlers
  readonly options?: Partial<ServerOptions>
}

export class Service {
  readonly server: Server
  readonly port: number
  readonly #close: () => Promise<void>
  readonly #records: Map<number, Record>
  readonly #profile: Profile
  readonly #clients = new Set<SocketClient>()

  private constructor(
    server: Server,
    port: number,
    profile: Profile,
    records: Map<number, Record>,
    close: () => Promise<void>,
  ) {
    this.server = server
    this.port = port
    this.#profile = profile
    this.#records = records
    this.#close = close
  }

  static async start(profile: Profile = {}, { handlers = {}, options = {} }: ServiceOptions = {}): Promise<Service> {
    const records = new Map<number, Record>()
    // Finds a record by its endpoint object, because ports are reused and a session may end after the next one began.
    const byEndpoint = new WeakMap<Endpoint, Record>()
    const recordOf: RecordOf = (session) => byEndpoint.get(session.remote) as Record
    const server = createServer({
      ...recordingServer(profile, recordOf),
      ...handlers,
      ...options,
    })
    const counted = {
      accept(duplex: Duplex, overrides?: SessionOverrides): Promise<void> {
        const record = emptyRecord()
        records.set(duplex.remote.port, record)
        byEndpoint.set(duplex.remote, record)
        return server.accept(new CountedDuplex(duplex, record), overrides)
      },
    }
    const listener = await listen(counted, {
      host: '127.0.0.1',
      port: 0,
      lingerMs: 500,
      ...(profile.withoutCertificate === true ? {} : { tls: await sharedCertificate() }),
      ...pick(profile, 'implicitTls'),
      overrides: overridesOf(profile),
    })
    return new Service(server, listener.address.port, profile, records, async () => {
      await listener.close()
      await server.close({ graceMs: 0 })
    })
  }

  /** Connects and reads the greeting. */
  async client(): Promise<SocketClient> {
    const tls = this.#profile.implicitTls === true ? { tls: {} } : {}
    const client = await SocketClient.greeted(this.port, { isHalfOpen: true, ...tls })
    this.#clients.add(client)
    return client
  }

  /** Connects and reads nothing. */
  async connect(): Promise<SocketClient> {
    const client = await SocketClient.connect(this.port, { isHalfOpen: true })
    this.#clients.add(client)
    return client
  }

  /** Connects and sends lines. Fails if a reply has a code from 400 on. */
  async at(lines: readonly string[]): Promise<SocketClient> {
    const client = await this.client()
    await client.expectAll(lines)
    return client
  }

  record(client: SocketClient): Record {
    const record = this.#records.get(client.localPort)
    if (record === undefined) throw new Error('the server has not seen this client')
    return record
  }

  /** Waits for the `close` hook of a client's session. */
  async gone(client: SocketClient, ms?: number): Promise<Record> {
    const record = this.record(client)
    await eventually(() => record.events.includes('close'), 'the close hook', ms)
    return record
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close()
    await this.#close()
  }
}
