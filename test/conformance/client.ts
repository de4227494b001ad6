/**
 * A raw SMTP client: it sends exactly the bytes it is given, in the pieces it is given, and reads exactly what comes.
 *
 * Every wait is bounded. Nothing is sent that a test did not ask for, and a reply that is malformed fails the test.
 */
import { once } from 'node:events'
import { type Socket, connect } from 'node:net'
import { type ConnectionOptions, type TLSSocket, connect as connectTls } from 'node:tls'
import { setImmediate as tick } from 'node:timers/promises'
import { within } from '../kit/waiting.ts'
import { type ClientReply, readReply } from './reply.ts'

/** Longer than anything takes on a busy machine. */
const WAIT_MS = 30_000

export class Client {
  /** What the server knows this client by. */
  readonly localPort: number
  #socket: Socket
  #received = ''
  #isEnded = false
  /** Set when the connection broke instead of ending. */
  #error: NodeJS.ErrnoException | undefined
  #wake: (() => void) | undefined
  /** How many times bytes came in. */
  arrivals = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    this.localPort = socket.localPort ?? 0
    this.#attach(socket)
  }

  static async connect(port: number, tls?: ConnectionOptions): Promise<Client> {
    // Half-open: the client can finish sending and still read what it is owed.
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

  /** Bytes handed to the system; what waits in this process is not counted. */
  get bytesSent(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength
  }

  send(bytes: string | Uint8Array): void {
    // A peer that hangs up while we write is not this method's business: what it said last is.
    if (!this.#socket.destroyed) this.#socket.write(bytes)
  }

  /** Sends each piece so that the server, in this process too, reads it before the next one is sent. */
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

  /** Sends each line and reads its reply, which is to be under 400. */
  async expectAll(lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      const { code, raw } = await this.command(line)
      if (code >= 400) throw new Error(`${JSON.stringify(line)}: ${raw}`)
    }
  }

  /** One reply, all its lines. */
  reply(waitMs: number = WAIT_MS): Promise<ClientReply> {
    return readReply((before) => this.#line(waitMs, before))
  }

  async replies(count: number): Promise<ClientReply[]> {
    const replies: ClientReply[] = []
    while (replies.length < count) replies.push(await this.reply())
    return replies
  }

  /** Every reply up to the server's end of the connection. */
  async repliesToEnd(waitMs: number = WAIT_MS): Promise<ClientReply[]> {
    const replies: ClientReply[] = []
    for (;;) {
      await this.#until(() => this.#received !== '' || this.#isEnded || this.#error !== undefined, waitMs)
      if (this.#received === '') return replies
      replies.push(await this.reply(waitMs))
    }
  }

  /** Waits for the server to close, and tells how; fails where it says something first. */
  async closed(waitMs: number = WAIT_MS): Promise<'end' | 'reset'> {
    await this.#until(() => this.#isEnded || this.#error !== undefined, waitMs)
    if (this.#received !== '') throw new Error(`unread before the end: ${JSON.stringify(this.#received)}`)
    return this.#isEnded ? 'end' : 'reset'
  }

  /** Whether the server neither closes nor says anything for so long. */
  async isQuiet(ms: number): Promise<boolean> {
    const isOver = (): boolean => this.#received !== '' || this.#isEnded || this.#error !== undefined
    try {
      await this.#until(isOver, ms)
      return false
    } catch {
      return !isOver()
    }
  }

  /** What came and was not read as a reply. */
  get unread(): string {
    return this.#received
  }

  /** Takes what came and was not read. */
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

  /** Finishes sending; what the server still says is read. */
  end(): void {
    this.#socket.end()
  }

  /** Goes away: at once, and with a RST. */
  reset(): void {
    this.#socket.resetAndDestroy()
  }

  /** Goes away. Safe to call at any time. */
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
