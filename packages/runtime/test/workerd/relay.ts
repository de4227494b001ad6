/** The other end of connections into the contract's Worker: each is joined to one that the Worker dials. */
import { once } from 'node:events'
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer, TLSSocket } from 'node:tls'
import type { SelfSignedCertificate } from '../../src/sockets/tls/index.ts'
import { type Order, ORDER_BYTES, type TcpMode } from './order.ts'

export class Relay {
  readonly #server: Server
  readonly #mode: TcpMode
  readonly #certificate: SelfSignedCertificate
  #last: Promise<unknown> = Promise.resolve()

  /**
   * With TLS, the relay is the TLS server for connections that the Worker dials, and the TLS client towards the Worker.
   * So both ends are TLS.
   */
  constructor(mode: TcpMode, certificate: SelfSignedCertificate) {
    this.#mode = mode
    this.#certificate = certificate
    const options = { allowHalfOpen: true, noDelay: true }
    this.#server = mode === 'implicit TLS' ? createTlsServer({ ...options, ...certificate }) : createServer(options)
  }

  async listen(): Promise<number> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  close(): void {
    this.#server.close()
  }

  /** Connects to the Worker, gives it the order, and joins. */
  join(port: number, order: Order): Promise<void> {
    // One after another, so that each dialled connection belongs to the incoming one.
    const joined = this.#last.then(() => this.#join(port, order))
    this.#last = joined.catch(() => {})
    return joined
  }

  async #join(port: number, order: Order): Promise<void> {
    const isTls = this.#mode === 'implicit TLS'
    const place = { host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true }
    const near = isTls
      ? connectTls({ ...place, servername: 'localhost', ca: this.#certificate.cert })
      : connectTcp(place)
    const [far] = (await once(this.#server, isTls ? 'secureConnection' : 'connection')) as [Socket]
    far.write(JSON.stringify(order).padEnd(ORDER_BYTES))
    tie(near, far)
    tie(far, near)
  }
}

/** Passes bytes, end and errors of each side on to the other. */
function tie(from: Socket, to: Socket): void {
  from.pipe(to)
  from.on('error', () => reset(to))
  from.on('close', () => {
    if (!from.readableEnded || !from.writableFinished) reset(to)
  })
}

function reset(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy()
  else socket.resetAndDestroy()
}
