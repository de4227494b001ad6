/**
 * Listening by `Deno.listen`.
 *
 * A connection that is handed to the server is ready for SMTP: where TLS comes first, its handshake is done. That is made as
 * STARTTLS is, and not by `Deno.listenTls`, which tells nothing of protocol, cipher, SNI and client certificates, and cannot
 * replace a certificate.
 */
import type { Endpoint, Listener } from '@postern/engine'
import { rm } from 'node:fs/promises'
import { unixEndpoint } from '../common/endpoint.ts'
import type { Acceptor, ListenOptions } from '../sockets/inbound.ts'
import { paced } from '../sockets/paced.ts'
import { checkPlace, Terms } from '../sockets/terms.ts'
import { removeStale } from '../sockets/unix-socket.ts'
import { deno, type DenoConnection, type DenoListener } from './api.ts'
import { DenoDuplex, type DenoDuplexDeps } from './duplex.ts'
import { endpoint } from './endpoint.ts'
import { withCode } from './errors.ts'
import { serverHandshake } from './handshake.ts'
import { checkServerTls } from './options.ts'

/** What Node lets wait to be accepted. */
const DEFAULT_BACKLOG = 511
/** Of a connection that was reset before we got to it. */
const GONE: readonly unknown[] = ['ENOTCONN', 'ECONNABORTED', 'ECONNRESET']
/** Where accepting fails (too many open files, say), it would fail again at once. */
const PAUSE_MS = 100
/** Of a machine without IPv6. */
const NO_IPV6: readonly unknown[] = ['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL']

/** The peer of implicit TLS begins with it. */
const NOTHING = new Uint8Array(0)

/**
 * Listens, and hands each connection to `server`.
 * Rejects with an error and Node's `code` (EADDRINUSE, EACCES …), with CertificateError, or with TypeError where Deno cannot
 * do what `tls` asks for.
 */
export async function listen(server: Acceptor, options: ListenOptions): Promise<Listener> {
  checkPlace(options)
  const terms = new Terms(options)
  if (terms.credentials !== undefined) checkServerTls(terms.credentials.current.options)
  const { path } = options
  try {
    return new Reception(server, terms, open(options))
  } catch (error) {
    if (path === undefined || !(await removeStale(error, path))) throw withCode(error)
    return new Reception(server, terms, open(options))
  }
}

function open({ port = 0, host, path, backlog = DEFAULT_BACKLOG, reusePort = false }: ListenOptions): DenoListener {
  if (path !== undefined) return deno.listen({ transport: 'unix', path })
  if (reusePort && deno.listenDatagram === undefined) {
    throw Object.assign(new Error('reusePort: Deno can do it only with --unstable-net'), { code: 'ENOTSUP' })
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

class Reception implements Listener {
  readonly address: Endpoint
  readonly #server: Acceptor
  readonly #terms: Terms
  readonly #listener: DenoListener
  readonly #settings: DenoDuplexDeps
  readonly #accepting: Promise<void>
  #isClosed = false
  #closed: Promise<void> | undefined

  constructor(server: Acceptor, terms: Terms, listener: DenoListener) {
    const { credentials, lingerMs } = terms
    this.#server = server
    this.#terms = terms
    this.#listener = listener
    this.#settings = { handshake: credentials && ((stream) => serverHandshake(stream, credentials.current)), lingerMs }
    this.address = endpoint(listener.addr)
    this.#accepting = this.#accept()
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#isClosed = true
    const { family, address } = this.address
    try {
      // Before the close: from then on the path is somebody else's to take.
      if (family === 'unix') await rm(address, { force: true })
    } finally {
      this.#listener.close()
      this.#terms.handshakes.giveUp()
    }
    // Until the last `accept` has heard of it, the port is not free.
    await this.#accepting
  }

  async #accept(): Promise<void> {
    const report = paced(this.#terms.error)
    while (!this.#isClosed) {
      try {
        const connection = await this.#listener.accept()
        if (this.#isClosed) connection.close()
        else this.#take(connection)
      } catch (error) {
        if (this.#isClosed) return
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
    const duplex = new DenoDuplex(connection, this.#settings, remote, local)
    const { implicitTls, overrides, error } = this.#terms
    const { startTls } = duplex
    if (!implicitTls || startTls === undefined) {
      void this.#server.accept(duplex, overrides)
      return
    }
    this.#terms
      .secure(
        this.#server,
        remote,
        () => startTls.call(duplex, NOTHING),
        (reason) => duplex.destroy(reason),
      )
      .then(
        ({ place }) => this.#server.accept(duplex, overrides, place),
        (reason: Error) => error(reason, remote),
      )
  }
}
