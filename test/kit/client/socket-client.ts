/** A client over TCP, a Unix socket or TLS. Needs no test runner, and runs on Node, Deno and Bun. */
import { connect, type Socket } from 'node:net'
import { setImmediate as tick } from 'node:timers/promises'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { within } from '../waiting.ts'
import { Client } from './client.ts'

export interface ConnectOptions {
  /** The client's own address. Default: the system chooses it. */
  readonly localAddress?: string
  /** Begins with a TLS handshake. */
  readonly tls?: ConnectionOptions
  /** Reads no byte until `resume`. */
  readonly isPaused?: boolean
  /** Sends on after the server has ended its side. Default: the client ends too. */
  readonly isHalfOpen?: boolean
  /** How long a reply may take. */
  readonly waitMs?: number
}

export class SocketClient extends Client {
  /** The port by which the server knows this client. */
  readonly localPort: number
  #socket: Socket

  private constructor(socket: Socket) {
    super()
    this.#socket = socket
    this.localPort = socket.localPort ?? 0
    this.#attach(socket)
  }

  /** Connects. @param to A port of 127.0.0.1, or the path of a Unix socket */
  static async connect(to: number | string, options: ConnectOptions = {}): Promise<SocketClient> {
    const { localAddress, tls, isPaused = false, isHalfOpen = false, waitMs } = options
    const own = localAddress === undefined ? {} : { localAddress }
    const where = typeof to === 'string' ? { path: to } : { port: to, host: '127.0.0.1', ...own }
    const socket = connect({ ...where, allowHalfOpen: isHalfOpen, noDelay: true })
    if (isPaused) socket.pause()
    await opened(socket, 'connect')
    const client = new SocketClient(socket)
    if (waitMs !== undefined) client.waitMs = waitMs
    if (tls !== undefined) await client.startTls(tls)
    return client
  }

  /** Connects and reads the greeting. */
  static async greeted(to: number | string, options?: ConnectOptions): Promise<SocketClient> {
    const client = await SocketClient.connect(to, options)
    return client.#after(client.expect(220))
  }

  /** Connects, reads the greeting and sends EHLO. */
  static async ready(to: number | string, options?: ConnectOptions): Promise<SocketClient> {
    const client = await SocketClient.connect(to, options)
    return client.#after(client.ehlo())
  }

  get socket(): Socket {
    return this.#socket
  }

  /** Returns how many bytes the system has taken. Bytes that wait in this process do not count. */
  get bytesSent(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength
  }

  /** Does the TLS handshake on the connection. Does not check the certificate unless the options say so. */
  async startTls(options: ConnectionOptions = {}): Promise<TLSSocket> {
    const plain = this.#socket
    plain.removeAllListeners('data')
    plain.removeAllListeners('end')
    const secure = connectTls({ socket: plain, rejectUnauthorized: false, ...options })
    this.#socket = secure
    this.#attach(secure)
    await opened(secure, 'secureConnect')
    return secure
  }

  /** Stops reading, so that the server has to wait. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  override end(): void {
    this.#socket.end()
  }

  /** Resets the connection at once, like a client that crashed. */
  reset(): void {
    this.#socket.resetAndDestroy()
  }

  override close(): void {
    this.#socket.destroy()
  }

  protected override transmit(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error == null ? resolve() : reject(error)))
    })
  }

  protected override async crossed(): Promise<void> {
    await tick()
    await tick()
  }

  /** Returns this client after its first replies. Closes it if they fail. */
  async #after(replies: Promise<unknown>): Promise<this> {
    try {
      await replies
      return this
    } catch (error) {
      this.close()
      throw error
    }
  }

  #attach(socket: Socket): void {
    socket.on('data', (bytes: Buffer) => this.heard(bytes))
    socket.on('end', () => this.over('end'))
    socket.on('error', (error) => this.over('reset', error))
    socket.on('close', () => this.over('reset', new Error('closed')))
  }
}

/** Waits for an event of a socket. Destroys the socket if it breaks or closes first. */
async function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  const done = new Promise<void>((resolve, reject) => {
    socket.once(event, resolve)
    socket.once('error', reject)
    socket.once('close', () => reject(new Error(`the connection closed before ${event}`)))
  })
  try {
    await within(done, event)
  } catch (error) {
    socket.destroy()
    throw error
  }
}
