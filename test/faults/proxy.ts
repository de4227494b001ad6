/**
 * A proxy between Postern and an S3 server, which causes the faults that a test sets.
 *
 * By default it changes nothing. It passes on the Host header, which the signature covers, so Postern uses the endpoint of the
 * proxy, and the server can check the signature. The proxy records each request and its outcome.
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

/** Handles a request with a fault. If it ends without an answer, the request hangs. */
export type Fault = (exchange: Exchange) => void | Promise<void>

/** The requests that a fault hits. Default: all. */
export interface Rule {
  readonly operation?: S3Operation | readonly S3Operation[]
  readonly key?: RegExp
  /** Only on a connection that had a request before. */
  readonly isReused?: boolean
  /** How many matching requests pass first. Default 0. */
  readonly skip?: number
  /** How many requests the fault hits before all pass. Default: all. */
  readonly times?: number
}

/** A fault that a test has set. */
export interface Trap {
  /** The number of requests that the fault has hit. */
  readonly hits: number
  /** Lifts the fault. */
  lift(): void
}

/** The record of one request. */
export interface Noted {
  readonly operation: S3Operation
  readonly key: string
  readonly method: string
  readonly url: string
  /** The Authorization header, for a test that searches a log for it. */
  readonly authorization: string
  /** True if a fault hit the request. */
  readonly isFaulty: boolean
  /** Set once the client has its answer, or its connection was cut. */
  isOver: boolean
  /** The status of the server's answer, whether or not the client got it. */
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
  /** The number of connections that were made. */
  connectionCount = 0
  /** True if it accepts connections but reads no byte from them. */
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
    // No timeouts: only a test closes a connection.
    const timeouts = { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }
    this.#http = createHttpServer(timeouts)
    this.#http.timeout = 0
    const take = this.#take.bind(this)
    this.#http.on('request', take)
    this.#http.on('checkContinue', take)
    this.#http.on('clientError', (_error, socket) => socket.destroy())
  }

  /** Listens on a free port of loopback. */
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

  /** Returns the requests that have no answer yet. */
  get underWay(): number {
    return this.noted.filter(({ isOver }) => !isOver).length
  }

  /** Sets a fault for matching requests. If two faults match, the older one is used. */
  trap(rule: Rule, fault: Fault): Trap {
    const trap: SetTrap = { rule, fault, hits: 0, seen: 0, isLifted: false, lift: () => void (trap.isLifted = true) }
    this.#traps.push(trap)
    return trap
  }

  /** Lifts all faults. A hanging request still hangs, unless its connection is cut. */
  liftAll({ cutsWhatHangs = false }: { readonly cutsWhatHangs?: boolean } = {}): void {
    for (const trap of this.#traps) trap.lift()
    this.#traps = []
    this.#lifting.abort()
    this.#lifting = new AbortController()
    // Connections that were not read cannot be read any more.
    if (cutsWhatHangs || this.isDeaf) this.cutConnections()
    this.isDeaf = false
  }

  /** Resets every connection. */
  cutConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
    // No client waits for these requests now.
    for (const noted of this.noted) noted.isOver = true
  }

  /** Refuses new connections, and resets the open ones. */
  async refuse(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = new Promise((resolve) => server.close(resolve))
    this.cutConnections()
    await closed
  }

  /** Accepts connections again on the same port, after refuse(). */
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
    // A reset of a peer is expected here.
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
    // The client has closed already, and the close event comes only once.
    if (socket.destroyed) over()
    const exchange = new Exchange(request, response, {
      upstream: this.#upstream,
      lifted: this.#lifting.signal,
      answered: (status) => void (noted.serverStatus = status),
    })
    if (trap !== undefined) trap.hits++
    const work = trap === undefined ? exchange.pass() : trap.fault(exchange)
    // If the connection on one side breaks, the one on the other side breaks too.
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
