/**
 * A raw SMTP client. It sends exactly the given bytes in the given pieces, and reads exactly the bytes that come.
 *
 * Every wait has a limit. The client sends nothing by itself, and a malformed reply fails the test.
 */
import { once } from 'node:events'
import { type Socket, connect } from 'node:net'
import { type ConnectionOptions, type TLSSocket, connect as connectTls } from 'node:tls'
import { setImmediate as tick } from 'node:timers/promises'
import { within } from '../kit/waiting.ts'
import { type ClientReply, readReply } from './reply.ts'

/** Longer than any reply takes on a busy machine. */
const WAIT_MS = 30_000

export class Client {
  /** The address and port by which the server knows this client. */
  readonly localPort: number
  #socket: Socket
  #received = ''
  #isEnded = false
  /** Set when the connection broke instead of ending. */
  #error: NodeJS.ErrnoException | undefined
  #wake: (() => void) | undefined
  /** How many times the client received bytes. */
  arrivals = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    this.localPort = socket.localPort ?? 0
    this.#attach(socket)
  }

  static async connect(port: number, tls?: ConnectionOptions): Promise<Client> {
    // Half-open: the client can finish sending and still read its replies.
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    await within(once(socket, 'connect'), 'the connection')
    const client = new Client(socket)
    if (tls !== undefined) await client.startTls(tls)
    return client
  }

  /** Connects and reads the greeting. */
  static async greeted(port: number, tls?: ConnectionOptions): Promise<Client> {
    const client = await Client.connect(port, tls)
    const { code, raw } = await client.reply()
    if (code !== 220) throw new Error(`greeting: ${raw}`)
    return client
  }

  get socket(): Socket {
    return this.#socket
  }

  /** Returns how many bytes the system has taken. Bytes that wait in this process do not count. */
  get bytesSent(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength
  }

  send(bytes: string | Uint8Array): void {
    // Ignores a server that closes during the write. The test reads its last reply instead.
    if (!this.#socket.destroyed) this.#socket.write(bytes)
  }

  /** Sends the pieces one by one. The server, which is in this process too, reads each before the next is sent. */
  async sendPieces(pieces: Iterable<string | Uint8Array>): Promise<void> {
    for (const piece of pieces) {
      if (this.#isEnded || this.#error !== undefined) return
      this.send(piece)
      await tick()
      await tick()
    }
  }

  /** Sends a command line and reads its reply. */
  async command(line: string): Promise<ClientReply> {
    this.send(`${line}\r\n`)
    return this.reply()
  }

  /** Sends each line and reads its reply. A code from 400 on fails. */
  async expectAll(lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      const { code, raw } = await this.command(line)
      if (code >= 400) throw new Error(`${JSON.stringify(line)}: ${raw}`)
    }
  }

  /** Reads one reply with all its lines. */
  reply(waitMs: number = WAIT_MS): Promise<ClientReply> {
    return readReply((before) => this.#line(waitMs, before))
  }

  async replies(count: number): Promise<ClientReply[]> {
    const replies: ClientReply[] = []
    while (replies.length < count) replies.push(await this.reply())
    return replies
  }

  /** Reads every reply until the server ends the connection. */
  async repliesToEnd(waitMs: number = WAIT_MS): Promise<ClientReply[]> {
    const replies: ClientReply[] = []
    for (;;) {
      await this.#until(() => this.#received !== '' || this.#isEnded || this.#error !== undefined, waitMs)
      if (this.#received === '') return replies
      replies.push(await this.reply(waitMs))
    }
  }

  /** Waits for the server to close, and returns how. Fails if the server sends something first. */
  async closed(waitMs: number = WAIT_MS): Promise<'end' | 'reset'> {
    await this.#until(() => this.#isEnded || this.#error !== undefined, waitMs)
    if (this.#received !== '') throw new Error(`unread before the end: ${JSON.stringify(this.#received)}`)
    return this.#isEnded ? 'end' : 'reset'
  }

  /** Returns whether the server neither closes nor sends anything for so long. */
  async isQuiet(ms: number): Promise<boolean> {
    const isOver = (): boolean => this.#received !== '' || this.#isEnded || this.#error !== undefined
    try {
      await this.#until(isOver, ms)
      return false
    } catch {
      return !isOver()
    }
  }

  /** The received bytes that were not read as a reply. */
  get unread(): string {
    return this.#received
  }

  /** Takes the received bytes that were not read. */
  take(): string {
    const taken = this.#received
    this.#received = ''
    return taken
  }

  /** Does the TLS handshake on the connection. */
  async startTls(options: ConnectionOptions = {}): Promise<TLSSocket> {
    const plain = this.#socket
    plain.removeAllListeners('data')
    plain.removeAllListeners('end')
    const secure = connectTls({ socket: plain, rejectUnauthorized: false, ...options })
    const done = once(secure, 'secureConnect')
    this.#socket = secure
    this.#attach(secure)
    await within(done, 'the handshake')
    return secure
  }

  /** Finishes sending. The client can still read replies. */
  end(): void {
    this.#socket.end()
  }

  /** Resets the connection at once. */
  reset(): void {
    this.#socket.resetAndDestroy()
  }

  /** Closes the connection. Safe to call at any time. */
  close(): void {
    this.#socket.destroy()
  }

  #attach(socket: Socket): void {
    socket.on('data', (bytes: Buffer) => {
      this.arrivals++
      this.#received += bytes.toString('latin1')
      this.#wake?.()
    })
    socket.on('end', () => {
      this.#isEnded = true
      this.#wake?.()
    })
    socket.on('error', (error) => {
      this.#error = error
      this.#wake?.()
    })
    socket.on('close', () => {
      this.#error ??= new Error('closed')
      this.#wake?.()
    })
  }

  async #line(waitMs: number, before: string): Promise<string> {
    await this.#until(() => this.#received.includes('\n') || this.#isEnded || this.#error !== undefined, waitMs)
    const end = this.#received.indexOf('\n') + 1
    if (end === 0) {
      const what = JSON.stringify(before + this.#received)
      throw new Error(`the connection ended where a reply was to come, after ${what}`, { cause: this.#error })
    }
    const line = this.#received.slice(0, end)
    this.#received = this.#received.slice(end)
    if (!line.endsWith('\r\n')) throw new Error(`a reply line without CRLF: ${JSON.stringify(line)}`)
    return line.slice(0, -2)
  }

  async #until(isDone: () => boolean, waitMs: number): Promise<void> {
    const deadline = Date.now() + waitMs
    while (!isDone()) {
      const leftMs = deadline - Date.now()
      if (leftMs <= 0) throw new Error(`nothing came for ${waitMs} ms; unread: ${JSON.stringify(this.#received)}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wake = undefined
    }
  }
}
