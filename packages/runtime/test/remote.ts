/**
 * The sockets of another runtime, for a test in this process. A program in that runtime listens and dials, and each of its
 * connections has a proxy object here. Calls that `Duplex` may answer at once always return a promise here.
 */
import type { Duplex, Endpoint, Listener, SessionOverrides, TlsInfo } from '@postern/engine'
import { spawn } from 'node:child_process'
import { readdirSync, readlinkSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { DialOptions } from '../src/sockets/outbound.ts'
import type { Acceptor, ListenOptions } from '../src/sockets/inbound.ts'
import { sleep } from '../../../test/kit/waiting.ts'
import { TlsCredentials, type TlsOptions } from '../src/sockets/tls/index.ts'

/** Listens and dials, here or elsewhere. */
export interface Place {
  listen(server: Acceptor, options: ListenOptions): Promise<Listener>
  dial(options: DialOptions): Promise<Duplex>
  /** Listens, and serves the connections without the test. */
  converse(options: ListenOptions): Promise<Listener>
  /** Waits until the program has begun what the test asked for: a handshake, new certificates. */
  settled(): Promise<void>
  /** Begins TLS after `send` has sent, in a turn of the event loop in which nothing can have been received. */
  startTlsAfter(duplex: Duplex, send: () => void): Promise<unknown>
  /** Counts the open sockets and listeners of the program. */
  openHandles(): number
  close(): void
}

/** An order for the program. */
export interface Call {
  readonly id: number
  readonly name:
    | 'listen'
    | 'close'
    | 'update'
    | 'dial'
    | 'abort'
    | 'read'
    | 'write'
    | 'startTls'
    | 'end'
    | 'destroy'
    | 'ping'
  readonly listener: number
  readonly duplex: number
  readonly options?: Omit<ListenOptions, 'tls' | 'error'> & { readonly tls?: TlsOptions | undefined }
  readonly dial?: Omit<DialOptions, 'signal'>
  /** A listener whose connections are served there. */
  readonly converses?: boolean
  readonly bytes?: string | undefined
  /** The reason of an abort. With 'dial', the abort came before. */
  readonly reason?: unknown
  /** The program blocks for so long before it obeys. */
  readonly busyMs?: number
}

/** The result of a call. */
export interface Answer {
  readonly id: number
  readonly result?: unknown
  readonly error?: Facts
}

/** An event in the program. */
export type Told = { readonly listener: number } & (
  | { readonly event: 'accept'; readonly duplex: DuplexFacts; readonly overrides: SessionOverrides | undefined }
  | { readonly event: 'error'; readonly error: Facts; readonly remote: Endpoint | undefined }
)

/** The parts of an error. */
export interface Facts {
  readonly name: string
  readonly message: string
  readonly code?: string | undefined
  readonly byteLength?: number | undefined
}

export interface DuplexFacts {
  readonly number: number
  readonly remote: Endpoint
  readonly local: Endpoint
  readonly tls: TlsInfo | undefined
  readonly hasStartTls: boolean
}

interface Wait {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

type Ask = (name: Call['name'], call?: Partial<Call>) => Promise<unknown>

/** Starts the program. `close` ends it. */
export function startRemote(command: readonly [string, ...string[]]): Place {
  const [program, ...args] = command
  const path = resolve(import.meta.dirname, 'remote-program.ts')
  const child = spawn(program, [...args, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting = new Map<number, Wait>()
  const servers: {
    accept: (duplex: DuplexFacts, overrides?: SessionOverrides) => unknown
    error: (error: Error, remote?: Endpoint) => void
  }[] = []
  let lastId = 0
  let ended: Error | undefined

  function ask(name: Call['name'], call: Partial<Call> = {}): Promise<unknown> {
    if (ended !== undefined) return Promise.reject(ended)
    const id = ++lastId
    child.stdin.write(`${JSON.stringify({ listener: -1, duplex: -1, ...call, name, id })}\n`)
    return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
  }

  child.on('close', (code, signal) => {
    ended = new Error(`${program} ended with ${code ?? signal}`)
    for (const { reject } of waiting.values()) reject(ended)
  })
  createInterface({ input: child.stdout }).on('line', (line) => {
    const told = JSON.parse(line) as Told | Answer
    if ('event' in told) {
      const server = servers[told.listener]
      if (told.event === 'accept') server?.accept(told.duplex, told.overrides)
      else server?.error(errorOf(told.error), told.remote)
      return
    }
    const wait = waiting.get(told.id)
    waiting.delete(told.id)
    if (told.error === undefined) wait?.resolve(told.result)
    else wait?.reject(told.error.name === 'thrown' ? told.error.message : errorOf(told.error))
  })

  async function listen(server: Acceptor, options: ListenOptions, converses = false): Promise<Listener> {
    const { tls, error = () => {}, ...plain } = options
    const accept = (facts: DuplexFacts, overrides?: SessionOverrides): unknown =>
      server.accept(new RemoteDuplex(ask, facts), overrides)
    const listener = servers.push({ accept, error }) - 1
    if (tls instanceof TlsCredentials) follow(tls, (tls) => void ask('update', { listener, options: { tls } }))
    const given = tls instanceof TlsCredentials ? tls.current.options : tls
    const address = (await ask('listen', { listener, converses, options: { ...plain, tls: given } })) as Endpoint
    return { address, close: async () => void (await ask('close', { listener })) }
  }

  async function dial(options: DialOptions): Promise<Duplex> {
    const { signal, ...rest } = options
    const dialled = ask('dial', { dial: rest, reason: signal?.aborted === true ? signal.reason : undefined })
    const number = lastId
    const abort = (): void => void ask('abort', { duplex: number, reason: signal?.reason as unknown })
    signal?.addEventListener('abort', abort)
    return new RemoteDuplex(ask, (await dialled) as DuplexFacts)
  }

  return {
    listen: (server, options) => listen(server, options),
    dial,
    converse: (options) => listen({ accept: () => {} }, options, true),
    settled: async () => void (await ask('ping')),
    async startTlsAfter(duplex, send) {
      const begun = ask('startTls', { duplex: (duplex as RemoteDuplex).number, busyMs: 400 })
      await sleep(100)
      send()
      return begun
    },
    openHandles: () => openSockets(child.pid),
    close: () => void child.stdin.end(),
  }
}

/** Notifies about later updates. */
function follow(credentials: TlsCredentials, tell: (options: TlsOptions) => void): void {
  const update = credentials.update.bind(credentials)
  credentials.update = (options) => {
    update(options)
    tell(options)
  }
}

class RemoteDuplex implements Duplex {
  readonly number: number
  readonly remote: Endpoint
  readonly local: Endpoint
  startTls: Duplex['startTls']
  tls: TlsInfo | undefined
  readonly #ask: (name: Call['name'], bytes?: Uint8Array) => Promise<unknown>

  constructor(ask: Ask, facts: DuplexFacts) {
    this.number = facts.number
    this.remote = facts.remote
    this.local = facts.local
    this.tls = facts.tls
    this.#ask = (name, bytes) => {
      const answer = ask(name, { duplex: facts.number, bytes: bytes && Buffer.from(bytes).toString('base64') })
      // A caller that does not wait for the result must not get an unhandled rejection.
      answer.catch(() => {})
      return answer
    }
    if (facts.hasStartTls) this.startTls = (received) => this.#startTls(received)
  }

  async read(): Promise<Uint8Array | null> {
    const answer = (await this.#ask('read')) as string | null
    return answer === null ? null : Buffer.from(answer, 'base64')
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#ask('write', bytes)
  }

  async end(): Promise<void> {
    await this.#ask('end')
  }

  destroy(): void {
    void this.#ask('destroy')
  }

  async #startTls(received?: Uint8Array): Promise<TlsInfo> {
    const info = (await this.#ask('startTls', received)) as TlsInfo
    this.startTls = undefined
    this.tls = info
    return info
  }
}

function errorOf({ message, ...facts }: Facts): Error {
  return Object.assign(new Error(message), facts)
}

/** Counts them through the system, because only Node can count its own. */
function openSockets(pid: number | undefined): number {
  const directory = `/proc/${pid}/fd`
  return readdirSync(directory).filter((name) => {
    try {
      return readlinkSync(`${directory}/${name}`).startsWith('socket:')
    } catch {
      // The socket was closed meanwhile.
      return false
    }
  }).length
}
