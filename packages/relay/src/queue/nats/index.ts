/**
 * A queue in a stream of NATS JetStream, on Node, Deno and Bun. Many processes, on many machines, share it: each adds, claims and settles.
 * It needs nats-server 2.9 or newer, with JetStream and storage in files.
 *
 * All processes compare their clocks with the times of the queue, so their clocks have to agree within a few seconds.
 */
import { credsAuthenticator, type NodeConnectionOptions } from '@nats-io/transport-node'
import { checkRange, invalid } from '../checks.ts'
import type { QueueError } from '../error.ts'
import type { Queue } from '../queue.ts'
import { failureOf } from './failure.ts'
import { Link } from './link.ts'
import { Mirror } from './mirror.ts'
import { NatsQueue } from './nats-queue.ts'
import { PATIENCE_MS, Records } from './table.ts'
import type { Message } from './stream.ts'

export interface NatsQueueOptions {
  /** The servers of a cluster: `nats://host:4222`, or `tls://host:4222` for TLS. All have the same scheme. */
  readonly servers: readonly string[]
  /** The name of the stream, and the first word of its subjects: 1 to 64 of `A-Z a-z 0-9 _ -`. Default `postern`. */
  readonly stream?: string | undefined
  /** How many servers of the cluster keep each message, 1 to 5. It counts when the stream is made. Default 1. */
  readonly replicas?: number | undefined
  readonly login?: NatsLogin | undefined
  readonly tls?: NatsTls | undefined
  /** False: a missing stream is an error. Default true: it is made. */
  readonly create?: boolean | undefined
  /** True: a server that is away at the start is no error; calls get `unavailable` until it is there. Default false. */
  readonly waits?: boolean | undefined
  /** Over it, `add` gets `full`. Each process has each entry in memory, with some 850 bytes. Default 1,000,000. */
  readonly maxEntries?: number | undefined
  /** How large the stream may become. It counts when the stream is made. Default: what the server allows. */
  readonly maxBytes?: number | undefined
  /**
   * The deliveries of a process that died are free after this time. A process that lives moves the ends of its leases, until the lease of its
   * caller ends. Default 15 minutes.
   */
  readonly maxLeaseMs?: number | undefined
  readonly events?: NatsQueueEvents | undefined
}

/** None of them is in a message. */
export interface NatsLogin {
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly token?: string | undefined
  /** The content of a `.creds` file. */
  readonly creds?: string | undefined
}

/** PEM. */
export interface NatsTls {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** None may throw. */
export interface NatsQueueEvents {
  /** The server is away, or the queue cannot be used now. It is tried again. */
  lost?(failure: QueueError): void
  back?(): void
  /** Another process has changed the queue, and there may be something to claim. */
  changed?(): void
}

const STREAM = /^[A-Za-z0-9_-]{1,64}$/
/** A process that adds an entry has so long to claim it, before others try. */
const FIRST_TURN_MS = 1_000
/** So many messages that are no entries are told. */
const MAX_COMPLAINTS = 100

/**
 * Opens the queue.
 * @throws QueueError `unavailable`, `not-found`, `other-version`, `unsupported`, `invalid`
 */
export async function openNatsQueue(options: NatsQueueOptions): Promise<Queue> {
  const { stream = 'postern', replicas = 1, create = true, waits = false } = options
  const { maxEntries = 1_000_000, maxLeaseMs = 900_000, maxBytes, events = {} } = options
  if (!STREAM.test(stream))
    throw invalid('stream', `${JSON.stringify(stream.slice(0, 100))} is not 1 to 64 of A-Z a-z 0-9 _ -`)
  checkRange(replicas, 'replicas', 1, 5)
  checkRange(maxEntries, 'maxEntries', 1, 10_000_000)
  checkRange(maxLeaseMs, 'maxLeaseMs', 1_000, 86_400_000)
  if (maxBytes !== undefined) checkRange(maxBytes, 'maxBytes', 1, Number.MAX_SAFE_INTEGER)
  const name = `${options.servers[0] ?? ''} ${stream}`
  const mirror = new Mirror(maxLeaseMs)
  const watch = new Watch(mirror, events)
  let queue: NatsQueue | undefined
  const link: Link = new Link({
    connection: connectionOf(options),
    stream: { stream, name, replicas, maxBytes: maxBytes ?? -1, create },
    reader: (message, isOld) => watch.message(message, isOld, records),
    beginReading: () => mirror.beginReading(),
    endReading: () => mirror.endReading(),
    lost: (failure) => events.lost?.(failure),
    back: () => {
      queue?.reconnected()
      events.back?.()
    },
  })
  const records = new Records(link, mirror, name)
  await link.open(waits)
  queue = new NatsQueue({
    mirror,
    records,
    name,
    maxEntries,
    maxLeaseMs,
    wasManaged: () => watch.wasManaged(),
    nextComplaint: () => watch.complaints.shift(),
    unreadable: () => watch.unreadable(),
    ready: () => link.stream(performance.now() + PATIENCE_MS),
    closed: async () => {
      watch.close()
      await link.close()
    },
  })
  return queue
}

function connectionOf({ servers, login = {}, tls = {} }: NatsQueueOptions): NodeConnectionOptions {
  const schemes = new Set(servers.map((server) => /^([a-z]+):\/\//.exec(server)?.[1] ?? 'nats'))
  const [scheme = ''] = schemes
  if (schemes.size !== 1 || !['nats', 'tls'].includes(scheme))
    throw invalid('servers', 'they have to be one or more URLs, all of them nats: or all of them tls:')
  const { user, password, token, creds } = login
  return {
    servers: servers.map((server) => server.replace(/^[a-z]+:\/\//, '')),
    name: 'postern',
    ...(user !== undefined && { user }),
    ...(password !== undefined && { pass: password }),
    ...(token !== undefined && { token }),
    ...(creds !== undefined && { authenticator: credsAuthenticator(new TextEncoder().encode(creds)) }),
    ...(scheme === 'tls' && {
      tls: {
        ...(tls.ca !== undefined && { ca: tls.ca }),
        ...(tls.cert !== undefined && { cert: tls.cert }),
        ...(tls.key !== undefined && { key: tls.key }),
      },
    }),
  }
}

/** Takes what other processes write. */
class Watch {
  readonly #mirror: Mirror
  readonly #events: NatsQueueEvents
  readonly complaints: QueueError[] = []
  /** By the name of the record. */
  readonly #unreadable = new Map<string, QueueError>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #wasManaged = false

  constructor(mirror: Mirror, events: NatsQueueEvents) {
    this.#mirror = mirror
    this.#events = events
  }

  message(message: Message, isOld: boolean, records: Records): void {
    try {
      const record = records.decoded(message)
      this.#unreadable.delete(message.name)
      const isForeign = !isOld && record.by !== records.by
      const isManaged = record.isManaged === true
      if (!records.take(message, record, isOld, isForeign && !isManaged) || !isForeign) return
      if (isManaged) this.#wasManaged = true
      if (isManaged) this.#events.changed?.()
      else this.#timer ??= setTimeout(() => this.#ripen(), FIRST_TURN_MS)
    } catch (error) {
      const failure = failureOf(error, message.name)
      if (this.#unreadable.size < MAX_COMPLAINTS) this.#unreadable.set(message.name, failure)
      if (this.complaints.length < MAX_COMPLAINTS) this.complaints.push(failure)
    }
  }

  #ripen(): void {
    this.#timer = undefined
    this.#mirror.ripen()
    this.#events.changed?.()
  }

  unreadable(): QueueError | undefined {
    return this.#unreadable.values().next().value
  }

  wasManaged(): boolean {
    const was = this.#wasManaged
    this.#wasManaged = false
    return was
  }

  close(): void {
    clearTimeout(this.#timer)
  }
}
