/**
 * An SMTP client for tests. It sends exactly the given bytes, and reads exactly the bytes that come.
 *
 * Every wait has a limit. The client sends nothing by itself, and a malformed reply fails the test. It needs no test runner and no
 * certain runtime: `SocketClient` and `DuplexClient` add the connection.
 */
import { Buffer } from 'node:buffer'
import { within } from '../waiting.ts'
import { type ClientReply, readReply } from './reply.ts'

/** Longer than any reply takes on a busy machine. */
const WAIT_MS = 60_000
/** A server that sends more than this without being read fails the test. */
const MAX_UNREAD_BYTES = 64 * 1_048_576

/** How a connection ended: the server closed it, or it broke. */
export type Ending = 'end' | 'reset'

export abstract class Client implements Disposable {
  /** How long a reply may take. */
  waitMs: number = WAIT_MS
  /** How many times the client received bytes. */
  arrivals = 0
  #received = ''
  /** Where the unread bytes begin in `#received`. */
  #at = 0
  #ending: Ending | undefined
  #error: unknown
  #arrival: PromiseWithResolvers<void> | undefined

  /** Hands bytes to the connection. Resolves when it can take more. */
  protected abstract transmit(bytes: string | Uint8Array): Promise<void>
  /** Finishes sending. The client can still read replies. */
  abstract end(): void
  /** Closes the connection. Safe to call at any time. */
  abstract close(): void

  /** Asks for bytes, if this connection does not bring them by itself. */
  protected pull(): void {}
  /** Waits until a server in this process has read what was sent. */
  protected async crossed(): Promise<void> {}

  /** Takes bytes that came. */
  protected heard(bytes: Uint8Array): void {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
    this.#received = this.unread + text
    this.#at = 0
    this.arrivals++
    if (this.#received.length > MAX_UNREAD_BYTES) {
      this.over('reset', new Error(`more than ${MAX_UNREAD_BYTES} bytes are unread`))
      this.close()
    }
    this.#wake()
  }

  /** Notes how the connection ended. The first call counts. */
  protected over(ending: Ending, error?: unknown): void {
    this.#ending ??= ending
    this.#error ??= error
    this.#wake()
  }

  /** Whether the server has ended the connection, or it broke. */
  get isOver(): boolean {
    return this.#ending !== undefined
  }

  /** The received bytes that were not read as a reply. */
  get unread(): string {
    return this.#at === 0 ? this.#received : this.#received.slice(this.#at)
  }

  /** Takes the received bytes that were not read. */
  take(): string {
    const taken = this.unread
    this.#received = ''
    this.#at = 0
    return taken
  }

  /**
   * Sends bytes. Resolves when the connection has taken them.
   *
   * A test need not wait for it. If the connection breaks meanwhile, the test misses a reply instead.
   */
  send(bytes: string | Uint8Array): Promise<void> {
    const sent = this.transmit(bytes)
    sent.catch(() => {})
    return sent
  }

  /** Sends the pieces one by one, until the connection is over. The connection takes each before the next is sent. */
  async sendPieces(pieces: Iterable<string | Uint8Array>): Promise<void> {
    for (const piece of pieces) {
      if (this.isOver) return
      try {
        await this.send(piece)
      } catch {
        // The last reply of the server counts.
        return
      }
      await this.crossed()
    }
  }

  /** Sends a command and reads its reply, which must have this code, and this enhanced code, if they are given. */
  async command(line: string, code?: number, enhancedCode?: string): Promise<ClientReply> {
    const sent = this.send(`${line}\r\n`)
    if (code === undefined) return this.reply()
    await sent
    return this.expect(code, enhancedCode)
  }

  /** Sends each line and reads its reply. A code from 400 on fails. */
  async expectAll(lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      const { code, raw } = await this.command(line)
      if (code >= 400) throw new Error(`${JSON.stringify(line)}: ${raw}`)
    }
  }

  /** Reads the greeting and sends EHLO. @returns the reply to EHLO */
  async ehlo(): Promise<ClientReply> {
    await this.expect(220)
    return this.command('EHLO client.example', 250)
  }

  /** Begins a message by DATA, up to this part of its text. */
  async data(beginning = ''): Promise<void> {
    await this.command('MAIL FROM:<a@example.com>', 250)
    await this.command('RCPT TO:<b@example.com>', 250)
    await this.command('DATA', 354)
    if (beginning !== '') await this.send(beginning)
  }

  /** Reads one reply with all its lines. @throws if none comes */
  reply(waitMs: number = this.waitMs): Promise<ClientReply> {
    return readReply((before) => this.#line(waitMs, before))
  }

  /** Reads the next reply, which must have this code, and this enhanced code if one is given. */
  async expect(code: number, enhancedCode?: string): Promise<ClientReply> {
    const reply = await this.reply()
    if (reply.code !== code || (enhancedCode !== undefined && reply.enhancedCode !== enhancedCode)) {
      throw new Error(`got ${JSON.stringify(reply.text)}, wanted ${code} ${enhancedCode ?? ''}`)
    }
    return reply
  }

  async replies(count: number): Promise<ClientReply[]> {
    const replies: ClientReply[] = []
    while (replies.length < count) replies.push(await this.reply())
    return replies
  }

  /** Reads every reply until the server ends the connection. */
  async repliesToEnd(waitMs: number = this.waitMs): Promise<ClientReply[]> {
    const replies: ClientReply[] = []
    for (;;) {
      await this.#until(() => this.#hasUnread || this.isOver, waitMs)
      if (!this.#hasUnread) return replies
      replies.push(await this.reply(waitMs))
    }
  }

  /** Waits for the end of the connection, and returns how it ended. Bytes that came before it stay unread. */
  async ended(waitMs: number = this.waitMs): Promise<Ending> {
    await this.#until(() => this.isOver, waitMs)
    return this.#ending as Ending
  }

  /** Waits for the end of the connection. Fails if the server sends something first. */
  async closed(waitMs?: number): Promise<Ending> {
    const ending = await this.ended(waitMs)
    if (this.#hasUnread) throw new Error(`unread before the end: ${JSON.stringify(this.unread)}`)
    return ending
  }

  /** Returns whether the server neither closes nor sends anything for so long. */
  async isQuiet(ms: number): Promise<boolean> {
    const hasHeard = (): boolean => this.#hasUnread || this.isOver
    try {
      await this.#until(hasHeard, ms)
      return false
    } catch {
      return !hasHeard()
    }
  }

  /** Sends QUIT, and closes after the server did. */
  async quit(): Promise<void> {
    await this.command('QUIT', 221)
    this.end()
    await this.closed()
    this.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  get #hasUnread(): boolean {
    return this.#at < this.#received.length
  }

  #wake(): void {
    this.#arrival?.resolve()
    this.#arrival = undefined
  }

  async #line(waitMs: number, before: string): Promise<string> {
    const end = (): number => this.#received.indexOf('\n', this.#at) + 1
    await this.#until(() => end() > 0 || this.isOver, waitMs)
    if (end() === 0) {
      const what = JSON.stringify(before + this.unread)
      throw new Error(`the connection is over without a reply, after ${what}`, { cause: this.#error })
    }
    const line = this.#received.slice(this.#at, end())
    this.#at = end()
    if (!line.endsWith('\r\n')) throw new Error(`a reply line without CRLF: ${JSON.stringify(line)}`)
    return line.slice(0, -2)
  }

  async #until(isDone: () => boolean, waitMs: number): Promise<void> {
    const deadline = Date.now() + waitMs
    while (!isDone()) {
      const late = `the next bytes (unread: ${JSON.stringify(this.unread.slice(-1_000))})`
      this.#arrival ??= Promise.withResolvers()
      const { promise } = this.#arrival
      this.pull()
      await within(promise, late, Math.max(0, deadline - Date.now()))
    }
  }
}
