/** The stream of a queue: one message for each record, on a subject of its own, of which JetStream keeps only the newest. */
import {
  type Consumer,
  type JetStreamClient,
  jetstream,
  type JetStreamManager,
  jetstreamManager,
  type JsMsg,
} from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { QueueError } from '../error.ts'
import { isMissing, isMissingStream } from './failure.ts'
import { FORMAT_VERSION } from './record.ts'

export interface StreamOptions {
  /** The name of the stream, and the first part of its subjects. */
  readonly stream: string
  /** Names the queue in messages. */
  readonly name: string
  readonly replicas: number
  readonly maxBytes: number
  readonly create: boolean
}

/** A message of the stream. */
export interface Message {
  readonly name: string
  readonly seq: number
  /** When it was stored. */
  readonly at: number
  readonly bytes: Uint8Array
}

/** Takes a message. `isOld`: it was there when reading began. */
export type Reader = (message: Message, isOld: boolean) => void

/** How long JetStream may take to answer. */
export const REQUEST_MS = 5_000
const DESCRIPTION = /^Postern queue, version (\d{1,9})$/
/** How often the reader looks whether it has all, if no message says so. */
const LOOK_MS = 500

export class Stream {
  readonly #nc: NatsConnection
  readonly #js: JetStreamClient
  readonly #manager: JetStreamManager
  readonly #stream: string
  #stops: (() => Promise<unknown> | void)[] = []

  private constructor(nc: NatsConnection, manager: JetStreamManager, stream: string) {
    this.#nc = nc
    this.#js = jetstream(nc, { timeout: REQUEST_MS })
    this.#manager = manager
    this.#stream = stream
  }

  /** Opens the stream, and makes it if it is missing. @throws QueueError `not-found`, `other-version`; errors of the client */
  static async open(nc: NatsConnection, options: StreamOptions): Promise<Stream> {
    const manager = await jetstreamManager(nc, { timeout: REQUEST_MS })
    const { stream, name, create } = options
    const found = await manager.streams.info(stream).catch((error: unknown) => {
      if (isMissingStream(error)) return undefined
      throw error
    })
    if (found === undefined && !create)
      throw new QueueError('not-found', `there is no queue ${name}: there is no such stream`)
    if (found === undefined) await make(manager, options)
    else checkVersion(found.config.description ?? '', name)
    return new Stream(nc, manager, stream)
  }

  /** The most octets of a message, with its header. */
  get maxPayload(): number {
    return this.#nc.info?.max_payload ?? 2 ** 20
  }

  /** Stores a message in place of the one with this number; 0 if there is none. @returns its number. @throws errors of the client */
  async put(name: string, bytes: Uint8Array, before: number): Promise<number> {
    const expect = { streamName: this.#stream, lastSubjectSequence: before }
    return (await this.#js.publish(this.#subjectOf(name), bytes, { expect, timeout: REQUEST_MS })).seq
  }

  async get(name: string): Promise<Message | undefined> {
    const found = await this.#manager.streams
      .getMessage(this.#stream, { last_by_subj: this.#subjectOf(name) })
      .catch((error: unknown) => {
        if (isMissing(error)) return undefined
        throw error
      })
    return found ? { name, seq: found.seq, at: found.time.getTime(), bytes: found.data } : undefined
  }

  /** Deletes a message, if it is there. */
  async remove(seq: number): Promise<void> {
    await this.#manager.streams.deleteMessage(this.#stream, seq, false).catch((error: unknown) => {
      if (!isMissing(error)) throw error
    })
  }

  /** Reads all messages, and then those that come. Resolves when all that were there are read. */
  async read(reader: Reader): Promise<void> {
    const { state: stored } = await this.#manager.streams.info(this.#stream)
    const consumer = await this.#js.consumers.get(this.#stream)
    const state: Reading = { isAll: Promise.withResolvers(), isOld: true, last: 0 }
    const messages = await consumer.consume({
      max_messages: 1_000,
      callback: (message) => this.#take(message, state, reader),
    })
    const timer = setInterval(() => void look(consumer, state), LOOK_MS)
    this.#stops.push(
      () => messages.close(),
      () => clearInterval(timer),
    )
    if (stored.messages > 0) await state.isAll.promise
    state.isOld = false
    clearInterval(timer)
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.#stops.splice(0).map(async (stop) => stop()))
  }

  #take({ subject, seq, data, info, time }: JsMsg, state: Reading, reader: Reader): void {
    state.last = seq
    reader({ name: subject.slice(this.#subjectOf('').length), seq, at: time.getTime(), bytes: data }, state.isOld)
    if (info.pending === 0) state.isAll.resolve()
  }

  #subjectOf(name: string): string {
    return `${this.#stream}.queue.${name}`
  }
}

interface Reading {
  readonly isAll: PromiseWithResolvers<void>
  isOld: boolean
  last: number
}

/** The last message may have been removed before it was read, and then none says that it is the last one. */
async function look(consumer: Consumer, state: Reading): Promise<void> {
  const { num_pending: pending, delivered } = await consumer
    .info()
    .catch(() => ({ num_pending: 1, delivered: undefined }))
  if (pending === 0 && (delivered?.stream_seq ?? 0) <= state.last) state.isAll.resolve()
}

async function make(manager: JetStreamManager, { stream, replicas, maxBytes }: StreamOptions): Promise<void> {
  await manager.streams.add({
    name: stream,
    description: `Postern queue, version ${FORMAT_VERSION}`,
    subjects: [`${stream}.queue.*`],
    storage: 'file',
    retention: 'limits',
    // A full stream refuses new entries, and takes changes of those it has.
    discard: 'new',
    max_msgs_per_subject: 1,
    max_bytes: maxBytes,
    num_replicas: replicas,
    allow_rollup_hdrs: false,
  })
}

/** @throws QueueError `other-version` */
function checkVersion(description: string, name: string): void {
  const version = Number(DESCRIPTION.exec(description)?.[1] ?? Number.NaN)
  if (Number.isNaN(version))
    throw new QueueError('other-version', `the queue ${name}: the stream is not a queue of Postern`)
  if (version <= FORMAT_VERSION) return
  const problem = `the queue ${name} is of version ${version}; this Postern knows versions up to ${FORMAT_VERSION}`
  throw new QueueError('other-version', problem)
}
