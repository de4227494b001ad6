/**
 * A proxy between Postern and an S3 server, which does to a request what a test tells it.
 *
 * By itself it changes nothing. The Host header, which the signature covers, goes through as it came: so the endpoint that
 * Postern is told is the proxy's, and the server checks what was signed. What came by, and what became of it, is noted.
 */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { Exchange, type Upstream } from './exchange.ts'
import { operationOf, type S3Operation } from './operation.ts'

/** What a fault does with a request. Where it ends without an answer, the request hangs. */
export type Fault = (exchange: Exchange) => void | Promise<void>

/** Which requests a fault is for; all of them where nothing is said. */
export interface Rule {
  readonly operation?: S3Operation | readonly S3Operation[]
  readonly key?: RegExp
  /** Only on a connection that had a request before. */
  readonly isReused?: boolean
  /** So many that fit are passed first. Default 0. */
  readonly skip?: number
  /** So many have the fault, then all pass. Default: all. */
  readonly times?: number
}

/** A fault that is set. */
export interface Trap {
  /** Requests that had the fault. */
  readonly hits: number
  /** From now on it is passed. */
  lift(): void
}

/** What is known of one request that came by. */
export interface Noted {
  readonly operation: S3Operation
  readonly key: string
  readonly method: string
  readonly url: string
  /** As signed: for a test that looks whether it is in a log. */
  readonly authorization: string
  /** Whether it met a fault. */
  readonly isFaulty: boolean
  /** Set once the client has its answer, or its connection was cut. */
  isOver: boolean
  /** What the server answered, whether or not the client heard it. */
  readonly serverStatus: number | undefined
}

interface SetTrap extends Trap {
  readonly rule: Rule
  readonly fault: Fault
  hits: number
  seen: number
  isLifted: boolean
}

export class FaultProxy {
  readonly noted: Noted[] = []
  /** Connections that were made, and those that are open. */
  connectionCount = 0
  /** Takes connections, and not a byte from them. */
  isDeaf = false
  readonly #upstream: Upstream
  readonly #http: HttpServer
  readonly #sockets = new Set<Socket>()
  readonly #requestsOn = new WeakMap<Socket, number>()
  #traps: SetTrap[] = []
  #lifting = new AbortController()
  #server: Server | undefined
  #port = 0

  private constructor(upstream: Upstream) {
    this.#upstream = upstream
    // Only a test closes a connection, or loses patience.
    const timeouts = { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }
    this.#http = createHttpServer(timeouts)
    this.#http.timeout = 0
    const take = this.#take.bind(this)
    this.#http.on('request', take)
    this.#http.on('checkContinue', take)
    this.#http.on('clientError', (_error, socket) => socket.destroy())
  }

  /** Begins to listen on a free port of loopback. */
  static async to(upstream: Upstream): Promise<FaultProxy> {
    const proxy = new FaultProxy(upstream)
    await proxy.listen()
    return proxy
  }

  get port(): number {
    return this.#port
  }

  get openConnections(): number {
    return this.#sockets.size
  }

  /** Requests that have no answer yet. */
  get underWay(): number {
    return this.noted.filter(({ isOver }) => !isOver).length
  }

  /** From now on, requests that fit have this fault. Of two that fit, the one that was set first is taken. */
  trap(rule: Rule, fault: Fault): Trap {
    const trap: SetTrap = { rule, fault, hits: 0, seen: 0, isLifted: false, lift: () => void (trap.isLifted = true) }
    this.#traps.push(trap)
    return trap
  }

  /** All passes again. What hangs goes on hanging, unless it is cut. */
  liftAll({ cutsWhatHangs = false }: { readonly cutsWhatHangs?: boolean } = {}): void {
    for (const trap of this.#traps) trap.lift()
    this.#traps = []
    this.#lifting.abort()
    this.#lifting = new AbortController()
    // What was not heard can't be heard any more.
    if (cutsWhatHangs || this.isDeaf) this.cutConnections()
    this.isDeaf = false
  }

  /** Resets every connection. */
  cutConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
    // Nobody waits for any of them now.
    for (const noted of this.noted) noted.isOver = true
  }

  /** From now on connections are refused, and those that are open are reset. */
  async refuse(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = new Promise((resolve) => server.close(resolve))
    this.cutConnections()
    await closed
  }

  /** Takes connections again, on the same port, where they were refused. */
  async listen(): Promise<void> {
    if (this.#server !== undefined) return
    const server = createServer((socket) => this.#connected(socket))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#port, '127.0.0.1', resolve)
    })
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.liftAll({ cutsWhatHangs: true })
    await this.refuse()
  }

  #connected(socket: Socket): void {
    this.connectionCount++
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('close', () => this.#sockets.delete(socket))
    // A peer that resets is part of the game.
    socket.on('error', () => {})
    if (this.isDeaf) socket.pause()
    else this.#http.emit('connection', socket)
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const { socket, method = '', url = '' } = request
    const requestsBefore = this.#requestsOn.get(socket) ?? 0
    this.#requestsOn.set(socket, requestsBefore + 1)
    const { operation, key } = operationOf(method, url, this.#upstream.basePath)
    const trap = this.#traps.find((trap) => isMet(trap, operation, key, requestsBefore > 0))
    const noted = {
      operation,
      key,
      method,
      url,
      authorization: request.headers.authorization ?? '',
      isFaulty: trap !== undefined,
      isOver: false,
      serverStatus: undefined as number | undefined,
    }
    this.noted.push(noted)
    const over = (): void => {
      noted.isOver = true
      socket.off('close', over)
    }
    response.once('close', over)
    socket.once('close', over)
    // Closed already: a client that was quick to leave, and is not told of twice.
    if (socket.destroyed) over()
    const exchange = new Exchange(request, response, {
      upstream: this.#upstream,
      lifted: this.#lifting.signal,
      answered: (status) => void (noted.serverStatus = status),
    })
    if (trap !== undefined) trap.hits++
    const work = trap === undefined ? exchange.pass() : trap.fault(exchange)
    // A broken connection, on either side, is the other side's broken connection.
    Promise.resolve(work).catch(() => exchange.cut())
  }
}

function isMet(trap: SetTrap, operation: S3Operation, key: string, isReused: boolean): boolean {
  const { rule } = trap
  if (trap.isLifted || (rule.times !== undefined && trap.hits >= rule.times)) return false
  if (rule.operation !== undefined && ![rule.operation].flat().includes(operation)) return false
  if (rule.key?.test(key) === false) return false
  if (rule.isReused === true && !isReused) return false
  return trap.seen++ >= (rule.skip ?? 0)
}
