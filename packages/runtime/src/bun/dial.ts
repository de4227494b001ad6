/** Connects with `Bun.connect`. */
import type { Duplex } from '@postern/engine'
import { checkDial, type DialOptions, withinOptions } from '../sockets/outbound.ts'
import { ipEndpoint, unixEndpoint } from '../common/endpoint.ts'
import { bun, type BunSocket, type SocketHandlers } from './api.ts'
import { type Attached, BunDuplex, type BunDuplexDeps, HANDLERS } from './duplex.ts'
import { systemError } from './system-error.ts'
import { checkDialTls, clientSide } from './tls-side.ts'

/**
 * Connects. Rejects with Bun's error and its `code` (ETIMEDOUT if it took too long), or with the signal's reason.
 * Bun cannot cancel an attempt. An attempt that was given up goes on until the system's own limit, and its socket is
 * then closed.
 */
export async function dial(options: DialOptions): Promise<Duplex> {
  checkDial(options)
  const { tls, host = 'localhost', implicitTls = false, lingerMs = 5_000 } = options
  if (tls !== undefined) checkDialTls(tls)
  const attempt = new Attempt(options, { tls: tls && (() => clientSide(tls, host)), lingerMs })
  try {
    return await withinOptions(attempt.run(implicitTls), options)
  } catch (error) {
    attempt.giveUp(error as Error)
    throw systemError(error, options.path ?? `${host}:${options.port}`)
  }
}

class Attempt {
  readonly #options: DialOptions
  readonly #settings: BunDuplexDeps
  #duplex: BunDuplex | undefined
  #isGivenUp = false

  constructor(options: DialOptions, settings: BunDuplexDeps) {
    this.#options = options
    this.#settings = settings
  }

  async run(implicitTls: boolean): Promise<Duplex> {
    const { host = 'localhost', port = 0, path } = this.#options
    const place = path === undefined ? { hostname: host, port } : { unix: path }
    const handlers: SocketHandlers<Attached> = { ...HANDLERS, open: (socket) => this.#open(socket) }
    await bun().connect<Attached>({ ...place, allowHalfOpen: true, data: undefined, socket: handlers })
    const duplex = this.#duplex
    if (duplex === undefined) throw new Error('the attempt was given up')
    if (implicitTls) await duplex.startTls?.()
    return duplex
  }

  giveUp(reason: Error): void {
    this.#isGivenUp = true
    this.#duplex?.destroy(reason)
  }

  /** Makes the duplex at once, because the server's first bytes may come before the promise of `connect` resolves. */
  #open(socket: BunSocket<Attached>): void {
    if (this.#isGivenUp) return socket.close()
    const { path } = this.#options
    const remote = path === undefined ? ipEndpoint(socket.remoteAddress, socket.remotePort) : unixEndpoint(path)
    const local = path === undefined ? ipEndpoint(socket.localAddress, socket.localPort) : unixEndpoint()
    this.#duplex = new BunDuplex(socket, this.#settings, remote, local)
  }
}
