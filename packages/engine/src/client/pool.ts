/** Connections to one server that several messages share. */
import type { OutgoingEnvelope, SendResult } from '../protocol/client/outgoing.ts'
import { OptionError } from '../protocol/limits.ts'
import type { Client } from './client.ts'
import { ClientError } from './error.ts'
import type { OutgoingMessage } from './message.ts'
import type { SendOptions } from './transaction.ts'

export interface PoolOptions {
  /** Makes a connection. The signal ends when the message is given up, or the pool closes. */
  connect(signal: AbortSignal): Promise<Client>
  /** Connections at the same time. Default 5. */
  readonly maxConnections?: number
  /** A connection is closed after so many messages. Default 100. */
  readonly maxMessagesPerConnection?: number
  /** A connection without a message is closed after this time. Default 30,000. */
  readonly idleMs?: number
  /** Messages that may wait for a connection. One more is rejected. Default 10,000. */
  readonly maxWaiting?: number
}

export interface Pool {
  /**
   * Sends a message by a connection that is free, or by a new one. If a connection fails before the server has answered MAIL, and the
   * server cannot have the message, it is sent once more by a new one.
   * @throws ClientError, or what `connect` rejects with
   */
  send(envelope: OutgoingEnvelope, message: OutgoingMessage, options?: SendOptions): Promise<SendResult>
  /** Rejects messages that wait, lets the others end, and closes all connections. */
  close(): Promise<void>
}

/** One connection. */
interface Line {
  readonly client: Client
  messages: number
  timer?: ReturnType<typeof setTimeout>
}

interface Waiter {
  /** Gets a free connection, or undefined if there is room for a new one. */
  resolve(line: Line | undefined): void
  reject(error: ClientError): void
}

const RANGES: Readonly<Record<string, readonly [byDefault: number, max: number]>> = {
  maxConnections: [5, 10_000],
  maxMessagesPerConnection: [100, Number.MAX_SAFE_INTEGER],
  idleMs: [30_000, 2_147_483_647],
  maxWaiting: [10_000, Number.MAX_SAFE_INTEGER],
}

/** @throws OptionError */
export function createPool(options: PoolOptions): Pool {
  return new ClientPool(options)
}

class ClientPool implements Pool {
  readonly #connect: PoolOptions['connect']
  readonly #maxConnections: number
  readonly #maxMessages: number
  readonly #idleMs: number
  readonly #maxWaiting: number
  /** The last one was used last, and is used next. */
  readonly #idle: Line[] = []
  readonly #waiting = new Set<Waiter>()
  /** Connections, and attempts to make one. */
  #connections = 0
  readonly #closing = new AbortController()
  /** Resolves when the last connection of a closing pool has gone. */
  #closed: PromiseWithResolvers<void> | undefined

  constructor(options: PoolOptions) {
    const connect: unknown = options.connect
    if (typeof connect !== 'function') throw new OptionError('connect', connect, 'a function')
    this.#connect = (signal) => options.connect(signal)
    this.#maxConnections = numberOf(options, 'maxConnections')
    this.#maxMessages = numberOf(options, 'maxMessagesPerConnection')
    this.#idleMs = numberOf(options, 'idleMs')
    this.#maxWaiting = numberOf(options, 'maxWaiting')
  }

  async send(envelope: OutgoingEnvelope, message: OutgoingMessage, options: SendOptions = {}): Promise<SendResult> {
    const line = this.#takeIdle() ?? (await this.#enter(options.signal))
    try {
      return await this.#sendBy(line, envelope, message, options)
    } catch (error) {
      if (!failedBeforeMail(error)) throw error
    }
    // Other idle connections are as old as the one that failed, so this one is new.
    const fresh = await this.#enter(options.signal)
    return this.#sendBy(fresh, envelope, message, options)
  }

  async close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = Promise.withResolvers()
      this.#closing.abort(closedError())
      for (const waiter of this.#waiting) waiter.reject(closedError())
      this.#waiting.clear()
      for (const line of this.#idle.splice(0)) this.#drop(line)
      if (this.#connections === 0) this.#closed.resolve()
    }
    return this.#closed.promise
  }

  async #sendBy(
    line: Line,
    envelope: OutgoingEnvelope,
    message: OutgoingMessage,
    options: SendOptions,
  ): Promise<SendResult> {
    line.messages++
    try {
      return await line.client.send(envelope, message, options)
    } finally {
      this.#release(line)
    }
  }

  #takeIdle(): Line | undefined {
    for (;;) {
      const line = this.#idle.pop()
      if (line === undefined) return undefined
      clearTimeout(line.timer)
      if (line.client.isOpen) return line
      this.#drop(line)
    }
  }

  /** Waits for room, and connects. Gives a free connection if there is one first. */
  async #enter(signal: AbortSignal | undefined): Promise<Line> {
    if (this.#closing.signal.aborted) throw closedError()
    if (this.#connections < this.#maxConnections) this.#connections++
    else {
      const line = await this.#wait(signal)
      if (line !== undefined) return line
    }
    const { signal: closing } = this.#closing
    try {
      const client = await this.#connect(signal === undefined ? closing : AbortSignal.any([closing, signal]))
      return { client, messages: 0 }
    } catch (error) {
      this.#leave()
      throw error
    }
  }

  #wait(signal: AbortSignal | undefined): Promise<Line | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Line | undefined>()
    if (this.#waiting.size >= this.#maxWaiting) {
      const message = `${this.#maxWaiting} messages wait for a connection already`
      reject(new ClientError(message, { reason: 'aborted', stage: 'connect' }))
      return promise
    }
    const waiter: Waiter = { resolve, reject }
    this.#waiting.add(waiter)
    if (signal === undefined) return promise
    const end = (): void => {
      if (!this.#waiting.delete(waiter)) return
      reject(new ClientError('the caller ended it', { reason: 'aborted', stage: 'connect', cause: signal.reason }))
    }
    if (signal.aborted) end()
    signal.addEventListener('abort', end, { once: true })
    return promise.finally(() => signal.removeEventListener('abort', end))
  }

  #release(line: Line): void {
    if (!line.client.isOpen || line.messages >= this.#maxMessages || this.#closing.signal.aborted)
      return this.#drop(line)
    const waiter = this.#nextWaiter()
    if (waiter !== undefined) return waiter.resolve(line)
    this.#idle.push(line)
    line.timer = setTimeout(() => {
      const index = this.#idle.indexOf(line)
      if (index < 0) return
      this.#idle.splice(index, 1)
      this.#drop(line)
    }, this.#idleMs)
  }

  #drop(line: Line): void {
    clearTimeout(line.timer)
    void line.client.quit().finally(() => this.#leave())
  }

  /** Gives the room of a connection to the next message. */
  #leave(): void {
    const waiter = this.#nextWaiter()
    if (waiter !== undefined) return waiter.resolve(undefined)
    this.#connections--
    if (this.#connections === 0) this.#closed?.resolve()
  }

  #nextWaiter(): Waiter | undefined {
    const [waiter] = this.#waiting
    if (waiter !== undefined) this.#waiting.delete(waiter)
    return waiter
  }
}

function failedBeforeMail(error: unknown): boolean {
  if (!(error instanceof ClientError) || error.mayBeAccepted) return false
  if (error.stage !== 'mail' && error.stage !== 'command') return false
  return error.reason === 'closed' || error.code === 421
}

function closedError(): ClientError {
  return new ClientError('the pool is closed', { reason: 'aborted', stage: 'connect' })
}

function numberOf(options: PoolOptions, field: string): number {
  const value: unknown = options[field as keyof PoolOptions]
  const [byDefault, max] = RANGES[field] as readonly [number, number]
  if (value === undefined) return byDefault
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= max) return value as number
  throw new OptionError(field, value, `a whole number from 1 to ${max}`)
}
