/** Servers with a store in memory, and connections to them: inside the program, or over the sockets of the runtime. */
import {
  type AddressRanges,
  ArrivalError,
  createServer,
  deliverBy,
  dsn,
  type Duplex,
  type Endpoint,
  futureRelease,
  type Limits,
  type Listener,
  type Message,
  mtPriority,
  reply,
  requireTls,
  type Reply,
  type Server,
  type Session,
  type SessionOverrides,
  xclient,
  xforward,
} from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { keep, type MailStore, mailStore } from '@postern/storage'
import { memory } from '@postern/storage/memory'
import type { ListenOptions } from '@postern/runtime/node'
import { sharedCertificate } from '../../kit/certificate.ts'
import { AUTH } from './logins.ts'
import type { Manner } from './session.ts'
import { WatchedDuplex } from './watched.ts'

export const HOSTNAME = 'mx.example.com'

/**
 * Small, so that short sessions reach them. The times are not so short that a busy machine reaches them before its client has had a
 * turn. If it does, the client gets 421, as one that waits on purpose does: that breaks no rule.
 */
const LIMITS: Partial<Limits> = {
  maxMessageBytes: 20_000,
  maxDrainBytes: 20_000,
  maxTextLineOctets: 4_000,
  maxRecipients: 8,
  maxReceivedFields: 10,
  maxIdleCommands: 40,
  maxConnections: 10_000,
  maxConnectionsPerAddress: 10_000,
  idleTimeoutMs: 2_000,
  dataTimeoutMs: 2_000,
  tlsHandshakeTimeoutMs: 2_000,
}

/** For sessions that break no rule: nothing may end them, on any machine. */
const PATIENT: Partial<Limits> = { idleTimeoutMs: 300_000, dataTimeoutMs: 180_000, tlsHandshakeTimeoutMs: 30_000 }

const LINGER_MS = 1_000
/** Octets of replies that a client in memory may leave unread before the server has to wait. */
const UNREAD_OCTETS = 4_096

const FULL = reply(452, '4.2.2', 'Mailbox full')
const SEAT = Symbol('seat')

/** One connection, and what the server does with it. */
export interface Seat {
  readonly client: Duplex
  readonly server: WatchedDuplex
  /** Ids of messages that were kept, in order. */
  readonly kept: string[]
  /** What the `error` hook got. */
  readonly errors: unknown[]
}

export interface Stage extends AsyncDisposable {
  readonly store: MailStore
  /** Errors that belong to no session. */
  readonly errors: unknown[]
  /** The sessions that are open. */
  readonly sessionCount: number
  seat(manner: Manner): Promise<Seat>
}

/** Servers by how they read bare line endings, which no listener can set. */
class Servers {
  readonly store: MailStore = mailStore(memory())
  readonly errors: unknown[] = []
  readonly #limits: Partial<Limits>
  readonly #servers = new Map<Manner['bareLineEndings'], Server>()
  readonly #seats = new WeakMap<Endpoint, Seat>()
  readonly #trusted = new WeakSet<object>()

  constructor(isPatient: boolean) {
    this.#limits = isPatient ? { ...LIMITS, ...PATIENT } : LIMITS
  }

  get sessionCount(): number {
    return [...this.#servers.values()].reduce((count, server) => count + server.sessionCount, 0)
  }

  /** Serves a connection. */
  serve(near: Duplex, client: Duplex, manner: Manner): Seat {
    const seat: Seat = { client, server: new WatchedDuplex(near), kept: [], errors: [] }
    this.#seats.set(near.remote, seat)
    if (manner.isTrusted) this.#trusted.add(near.remote)
    const { protocol, addresses, authRequired } = manner
    const overrides: SessionOverrides = { protocol, addresses, authRequired }
    void this.#server(manner.bareLineEndings)
      .accept(seat.server, overrides)
      .finally(() => seat.server.over())
    return seat
  }

  async close(): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server.close({ graceMs: 0 })))
  }

  #server(bareLineEndings: Manner['bareLineEndings']): Server {
    let server = this.#servers.get(bareLineEndings)
    if (server === undefined) {
      server = this.#make(bareLineEndings)
      this.#servers.set(bareLineEndings, server)
    }
    return server
  }

  #make(bareLineEndings: Manner['bareLineEndings']): Server {
    const trusted: AddressRanges = { includes: (remote) => this.#trusted.has(remote) }
    const keepMail = keep(this.store, { kept: ({ id }, session) => this.#seatOf(session)?.kept.push(id) })
    return createServer({
      hostname: HOSTNAME,
      limits: this.#limits,
      bareLineEndings,
      auth: AUTH,
      extensions: [
        dsn,
        requireTls,
        mtPriority({ policy: 'MIXER' }),
        deliverBy({ minSeconds: 60 }),
        futureRelease({ maxSeconds: 900_000_000 }),
        xclient({ trusted }),
        xforward({ trusted }),
      ],
      // A log shows each line.
      trace: () => {},
      // XCLIENT changes the client's address, so the session has its seat from now on.
      connect: (session) => {
        const seat = this.#seats.get(session.remote)
        if (seat !== undefined) session.notes.set(SEAT, seat)
      },
      hello: ({ name }) => (name === 'banned.example' ? reply(550, '5.7.1', 'You are not welcome') : undefined),
      rcpt({ address }) {
        if (address.startsWith('unknown@')) return reply(550, '5.1.1', 'No such mailbox')
        if (address.startsWith('later@')) return reply(450, '4.2.1', 'Try again later')
      },
      verify: (argument) => (argument === 'known' ? reply(250, '2.1.5', '<known@example.com>') : undefined),
      expand: (argument) => (argument === 'list' ? reply(250, '2.1.5', ['<a@b.example>', '<b@b.example>']) : undefined),
      data: (message, session) =>
        session.hello?.verb === 'LHLO' ? keepForEach(message, session) : keepMail(message, session),
      error: (error, session) => {
        const seat = session && this.#seatOf(session)
        const errors = seat === undefined ? this.errors : seat.errors
        errors.push(error)
      },
    })

    /** Refuses some recipients. The message is kept for the others. */
    async function keepForEach(message: Message, session: Session): Promise<Reply | readonly Reply[]> {
      const isFull = message.envelope.forwardPaths.map(({ address }) => address.startsWith('full@'))
      const kept = isFull.every(Boolean) ? FULL : await keepMail(message, session)
      if (!isFull.includes(true)) return kept
      return isFull.map((full) => (full ? FULL : kept))
    }
  }

  #seatOf({ notes, remote }: Session): Seat | undefined {
    return (notes.get(SEAT) as Seat | undefined) ?? this.#seats.get(remote)
  }
}

/** Returns whether the client may be the cause of an error that the `error` hook gets. */
export function isByClient(error: unknown): boolean {
  return error instanceof ArrivalError && error.stage === 'tls-handshake'
}

const SERVER: Endpoint = { family: 'unknown', address: '', port: 25 }

/** @param isPatient The server waits as long as servers do by default */
export function memoryStage(isPatient: boolean): Stage {
  const servers = new Servers(isPatient)
  let port = 0
  return {
    store: servers.store,
    errors: servers.errors,
    get sessionCount() {
      return servers.sessionCount
    },
    async seat(manner) {
      const remote: Endpoint = { family: 'unknown', address: '', port: ++port }
      const options = { highWaterMark: UNREAD_OCTETS, lingerMs: LINGER_MS, startTls: true } as const
      const [near, far] = pair({ ...options, endpoints: [SERVER, remote] })
      return servers.serve(near, far, manner)
    },
    [Symbol.asyncDispose]: () => servers.close(),
  }
}

/** What `dial` takes here, on every runtime. */
interface Dialled {
  readonly host: string
  readonly port: number
  readonly lingerMs: number
  readonly tls: { readonly ca: string }
}

interface Sockets {
  listen(acceptor: { accept(duplex: Duplex): Promise<void> }, options: ListenOptions): Promise<Listener>
  dial(options: Dialled): Promise<Duplex>
}

/** Serves on a port of loopback. */
export async function socketStage(isPatient: boolean): Promise<Stage> {
  const { listen, dial } = await socketsOf()
  const servers = new Servers(isPatient)
  const certificate = await sharedCertificate()
  /** Accepted connections by the client's port, and who waits for one. */
  const accepted = new Map<number, PromiseWithResolvers<Duplex>>()
  const of = (port: number): PromiseWithResolvers<Duplex> => {
    const found = accepted.get(port) ?? Promise.withResolvers<Duplex>()
    accepted.set(port, found)
    return found
  }
  const acceptor = {
    async accept(duplex: Duplex): Promise<void> {
      of(duplex.remote.port).resolve(duplex)
    },
  }
  const listener = await listen(acceptor, { host: '127.0.0.1', port: 0, lingerMs: LINGER_MS, tls: certificate })
  const to = { host: '127.0.0.1', port: listener.address.port, lingerMs: LINGER_MS, tls: { ca: certificate.cert } }
  return {
    store: servers.store,
    errors: servers.errors,
    get sessionCount() {
      return servers.sessionCount
    },
    async seat(manner) {
      const client = await dial(to)
      const { port } = client.local
      const near = await of(port).promise
      accepted.delete(port)
      return servers.serve(near, client, manner)
    },
    async [Symbol.asyncDispose]() {
      await listener.close()
      await servers.close()
    },
  }
}

function socketsOf(): Promise<Sockets> {
  if ('Bun' in globalThis) return import('@postern/runtime/bun')
  if ('Deno' in globalThis) return import('@postern/runtime/deno')
  return import('@postern/runtime/node')
}
