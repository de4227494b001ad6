/** The connection to the NATS server, which may be away at any time: at the start, and later. */
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node'
import { QueueError } from '../error.ts'
import { failureOf } from './failure.ts'
import { REQUEST_MS, type Reader, Stream, type StreamOptions } from './stream.ts'

export interface LinkDeps {
  readonly connection: NodeConnectionOptions
  readonly stream: StreamOptions
  readonly reader: Reader
  /** The whole stream is about to be read, and has been read. */
  readonly beginReading: () => void
  readonly endReading: () => void
  /** The server is away, or the queue cannot be used. It is tried again. */
  readonly lost: (failure: QueueError) => void
  readonly back: () => void
}

const RETRY_MS = 1_000
/** A server that is silent for so long, twice, is away. */
const PING_MS = 5_000
const LEAST_VERSION = [2, 9] as const

export class Link {
  readonly #deps: LinkDeps
  #nc: NatsConnection | undefined
  #stream: Stream | undefined
  #isClosed = false
  #isLost = false
  #isReading = false
  #failure: QueueError | undefined
  #changed: PromiseWithResolvers<void> = Promise.withResolvers()

  constructor(deps: LinkDeps) {
    this.#deps = deps
  }

  /**
   * Connects. If the server is away, it is tried again until it is there.
   * @param waits Whether a server that is away is no error
   * @throws QueueError
   */
  async open(waits: boolean): Promise<void> {
    try {
      await this.#connect()
    } catch (error) {
      const failure = failureOf(error, this.#deps.stream.name)
      await this.#nc?.close()
      if (!waits || failure.code !== 'unavailable') {
        this.#isClosed = true
        throw failure
      }
      this.#lose(failure)
      void this.#connectAgain()
    }
  }

  /** Returns the stream, once the server is there. @throws QueueError if it is not there in time */
  async stream(deadline: number): Promise<Stream> {
    for (;;) {
      if (this.#stream !== undefined) return this.#stream
      const { name } = this.#deps.stream
      if (this.#isClosed) throw new QueueError('closed', `the queue ${name} is closed`)
      const leftMs = deadline - performance.now()
      if (leftMs <= 0)
        throw this.#failure ?? new QueueError('unavailable', `the queue ${name}: the NATS server is away`)
      await this.#change(leftMs)
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#tell()
    await this.#stream?.stop()
    this.#stream = undefined
    // What was written last, such as a notice of a removal, is sent first.
    await this.#nc?.flush().catch(() => {})
    await this.#nc?.close()
  }

  async #connect(): Promise<void> {
    const { connection, stream } = this.#deps
    const nc = await connect({
      ...connection,
      reconnect: true,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RETRY_MS,
      timeout: REQUEST_MS,
      pingInterval: PING_MS,
      maxPingOut: 2,
      noAsyncTraces: true,
    })
    this.#nc = nc
    checkServer(nc, stream.name)
    await this.#read(nc)
    void this.#watch(nc)
    void nc.closed().then((error) => this.#ended(nc, error))
  }

  /** Opens the stream and reads it. */
  async #read(nc: NatsConnection): Promise<void> {
    const { beginReading, endReading, reader } = this.#deps
    const stream = await Stream.open(nc, this.#deps.stream)
    beginReading()
    try {
      await within(stream.read(reader), nc)
    } catch (error) {
      await stream.stop()
      throw error
    }
    endReading()
    this.#stream = stream
    this.#failure = undefined
    if (this.#isLost) this.#deps.back()
    this.#isLost = false
    this.#tell()
  }

  async #watch(nc: NatsConnection): Promise<void> {
    for await (const { type } of nc.status()) {
      if (this.#isClosed) return
      if (type === 'disconnect') {
        void this.#stream?.stop()
        this.#stream = undefined
        this.#lose(new QueueError('unavailable', `the queue ${this.#deps.stream.name}: the NATS server is away`))
      }
      if (type === 'reconnect') void this.#readAgain(nc)
    }
  }

  async #readAgain(nc: NatsConnection): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    while (!this.#isClosed && !nc.isClosed() && this.#stream === undefined) {
      try {
        await this.#read(nc)
      } catch (error) {
        this.#lose(failureOf(error, this.#deps.stream.name))
        await this.#change(RETRY_MS)
      }
    }
    this.#isReading = false
  }

  /** The client has given up, for example because the server refuses its login now. */
  #ended(nc: NatsConnection, error: unknown): void {
    if (this.#isClosed || this.#nc !== nc) return
    this.#stream = undefined
    this.#lose(failureOf(error ?? new Error('the connection is closed'), this.#deps.stream.name))
    void this.#connectAgain()
  }

  async #connectAgain(): Promise<void> {
    while (!this.#isClosed) {
      await this.#change(RETRY_MS)
      if (this.#isClosed) return
      try {
        return await this.#connect()
      } catch (error) {
        const nc = this.#nc
        this.#nc = undefined
        await nc?.close()
        this.#lose(failureOf(error, this.#deps.stream.name))
      }
    }
  }

  #lose(failure: QueueError): void {
    const isNews = !this.#isLost || this.#failure?.message !== failure.message
    this.#failure = failure
    this.#isLost = true
    if (isNews) this.#deps.lost(failure)
  }

  #tell(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  /** Waits for the server to come or the queue to be closed, at most for this time. */
  async #change(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.min(ms, 2 ** 31 - 1))
    })
    await Promise.race([this.#changed.promise, late])
    clearTimeout(timer)
  }
}

/** Rejects if the connection ends first. */
async function within(reading: Promise<void>, nc: NatsConnection): Promise<void> {
  const status = nc.status()
  const lost = (async (): Promise<never> => {
    for await (const { type } of status) if (type === 'disconnect') break
    throw new Error('the NATS server went away')
  })()
  lost.catch(() => {})
  await Promise.race([reading, lost])
}

/** @throws QueueError `unsupported` */
function checkServer(nc: NatsConnection, name: string): void {
  const { version = '', jetstream = false } = nc.info ?? {}
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < LEAST_VERSION[0] || (major === LEAST_VERSION[0] && minor < LEAST_VERSION[1]))
    throw new QueueError(
      'unsupported',
      `the queue ${name}: nats-server ${version} is older than ${LEAST_VERSION.join('.')}`,
    )
  if (!jetstream) throw new QueueError('unsupported', `the queue ${name}: JetStream is not enabled on this server`)
}
