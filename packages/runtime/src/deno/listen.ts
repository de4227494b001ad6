/**
 * Listens with `Deno.listen`.
 * Implicit TLS uses the code of STARTTLS, and not `Deno.listenTls`. `Deno.listenTls` reports no protocol, cipher, SNI
 * or client certificate, and cannot replace a certificate.
 */
import type { Endpoint, Listener } from '@postern/engine'
import { rm } from 'node:fs/promises'
import { unixEndpoint } from '../common/endpoint.ts'
import { type Acceptor, checkListen, type ListenOptions } from '../sockets/inbound.ts'
import { ListenerCore } from '../sockets/listener-core.ts'
import { paced } from '../sockets/paced.ts'
import { removeStale, setMode } from '../sockets/unix-socket.ts'
import { checkRuntime, deno, type DenoConnection, type DenoListener } from './api.ts'
import { DenoDuplex, type DenoDuplexDeps } from './duplex.ts'
import { endpoint } from './endpoint.ts'
import { withCode } from './errors.ts'
import { serverHandshake } from './handshake.ts'
import { checkServerTls } from './options.ts'

/** Node's default. */
const DEFAULT_BACKLOG = 511
/** Error codes of a connection that the client reset before it was accepted. */
const GONE: readonly unknown[] = ['ENOTCONN', 'ECONNABORTED', 'ECONNRESET']
/** The pause after a failed accept, with too many open files for example, because the next accept would fail at once. */
const PAUSE_MS = 100
/** Error codes of a machine without IPv6. */
const NO_IPV6: readonly unknown[] = ['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL']

/**
 * Listens, and hands each connection to `server`.
 * Rejects with an error that has Node's `code` (EADDRINUSE, EACCES …), with CertificateError, or with TypeError if Deno cannot do
 * what `tls` asks for.
 */
export async function listen(server: Acceptor, options: ListenOptions): Promise<Listener> {
  checkRuntime()
  checkListen(options)
  if (options.fd !== undefined) throw new TypeError('fd: Deno cannot use a socket that the process was started with')
  const core = new ListenerCore(server, options)
  if (core.credentials !== undefined) checkServerTls(core.credentials.current.options)
  const { path } = options
  try {
    return new AcceptLoop(core, open(options))
  } catch (error) {
    if (path === undefined || !(await removeStale(error, path))) throw withCode(error)
    return new AcceptLoop(core, open(options))
  }
}

function open({
  port = 0,
  host,
  path,
  mode,
  backlog = DEFAULT_BACKLOG,
  reusePort = false,
}: ListenOptions): DenoListener {
  if (path !== undefined) return openPath(path, mode)
  if (reusePort && deno.listenDatagram === undefined) {
    throw Object.assign(new Error('reusePort: Deno supports it only with --unstable-net'), { code: 'ENOTSUP' })
  }
  const place = { port, tcpBacklog: backlog, reusePort }
  if (host !== undefined) return deno.listen({ ...place, hostname: host })
  try {
    return deno.listen({ ...place, hostname: '::' })
  } catch (error) {
    if (!NO_IPV6.includes((error as { code?: unknown }).code)) throw error
    return deno.listen({ ...place, hostname: '0.0.0.0' })
  }
}

function openPath(path: string, mode: number | undefined): DenoListener {
  const listener = deno.listen({ transport: 'unix', path })
  try {
    setMode(path, mode)
    return listener
  } catch (error) {
    listener.close()
    throw error
  }
}

class AcceptLoop implements Listener {
  readonly address: Endpoint
  readonly #core: ListenerCore
  readonly #listener: DenoListener
  readonly #deps: DenoDuplexDeps
  readonly #accepting: Promise<void>
  #closed: Promise<void> | undefined

  constructor(core: ListenerCore, listener: DenoListener) {
    const { credentials, lingerMs } = core
    this.#core = core
    this.#listener = listener
    this.#deps = { handshake: credentials && ((stream) => serverHandshake(stream, credentials.current)), lingerMs }
    this.address = endpoint(listener.addr)
    this.#accepting = this.#accept()
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#core.close()
    const { family, address } = this.address
    try {
      // After the close, the path may already belong to another process.
      if (family === 'unix') await rm(address, { force: true })
    } finally {
      this.#listener.close()
    }
    // The port is free only when the last `accept` has rejected.
    await this.#accepting
  }

  async #accept(): Promise<void> {
    const report = paced(this.#core.report)
    while (!this.#core.isClosed) {
      try {
        const connection = await this.#listener.accept()
        if (this.#core.isClosed) connection.close()
        else this.#take(connection)
      } catch (error) {
        if (this.#core.isClosed) return
        if (GONE.includes((error as { code?: unknown }).code)) continue
        report(error as Error)
        await new Promise((resolve) => {
          setTimeout(resolve, PAUSE_MS)
        })
      }
    }
  }

  #take(connection: DenoConnection): void {
    const isUnix = this.address.family === 'unix'
    const remote = isUnix ? unixEndpoint() : endpoint(connection.remoteAddr)
    const local = isUnix ? this.address : endpoint(connection.localAddr)
    this.#core.take(new DenoDuplex(connection, this.#deps, remote, local))
  }
}
