/**
 * A client that does exactly what a test says. It sends commands unchanged, and bytes in the given pieces.
 *
 * A queue holds the replies in order. Writing never waits for them, so a test can pipeline. If a reply does not come in time, or
 * the connection ends before it, the error has the last received bytes.
 */
import { connect, type Socket } from 'node:net'
import { type Cut, pieces } from './cut.ts'

export interface HeardReply {
  readonly code: number
  /** The code of RFC 3463, or '' if the reply has none. */
  readonly enhancedCode: string
  /** The text after the codes, line by line. */
  readonly lines: readonly string[]
  /** The raw reply without the last CRLF. */
  readonly text: string
}

const REPLY_TIMEOUT_MS = 30_000

export class RawClient {
  readonly socket: Socket
  /** Set once the connection has ended, for any reason. */
  isClosed = false
  /** How long a reply may take by default. */
  replyTimeoutMs: number = REPLY_TIMEOUT_MS
  #text = ''
  #replies: HeardReply[] = []
  #waiting: (() => void) | undefined
  #error: Error | undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('error', (error) => (this.#error = error))
    socket.on('close', () => {
      this.isClosed = true
      this.#waiting?.()
    })
    socket.on('end', () => {
      this.isClosed = true
      this.#waiting?.()
    })
  }

  /** Connects; `isDeaf` never reads a byte, until `listen` is called. `localAddress` is the client's own. */
  static async open(
    port: number,
    { isDeaf = false, localAddress }: { readonly isDeaf?: boolean; readonly localAddress?: string } = {},
  ): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', ...(localAddress === undefined ? {} : { localAddress }) })
    const client = new RawClient(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    if (!isDeaf) client.listen()
    return client
  }

  /** Speaks over a socket that is open. */
  static over(socket: Socket): RawClient {
    const client = new RawClient(socket)
    client.listen()
    return client
  }

  /** Connects, reads the greeting and sends EHLO. */
  static async greeted(port: number): Promise<RawClient> {
    const client = await RawClient.open(port)
    await client.expect(220)
    await client.say('EHLO client.example', 250)
    return client
  }

  listen(): void {
    this.socket.setEncoding('latin1')
    this.socket.on('data', (text: string) => this.#hear(text))
  }

  /** Reads the next reply. @throws if none comes. */
  async reply(timeoutMs: number = this.replyTimeoutMs): Promise<HeardReply> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const reply = this.#replies.shift()
      if (reply !== undefined) return reply
      if (this.isClosed) throw new Error(`connection is over without a reply: ${this.#error?.message ?? 'closed'}`)
      if (Date.now() >= deadline) throw new Error(`no reply in ${timeoutMs} ms, but ${JSON.stringify(this.#text)}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - Date.now())
        this.#waiting = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** Reads the next reply, which must have this code, and this enhanced code if one is given. */
  async expect(code: number, enhancedCode?: string): Promise<HeardReply> {
    const reply = await this.reply()
    if (reply.code !== code || (enhancedCode !== undefined && reply.enhancedCode !== enhancedCode)) {
      throw new Error(`got ${JSON.stringify(reply.text)}, wanted ${code} ${enhancedCode ?? ''}`)
    }
    return reply
  }

  /** Sends one command and waits for its reply. */
  async say(command: string, code: number, enhancedCode?: string): Promise<HeardReply> {
    await this.send(`${command}\r\n`)
    return this.expect(code, enhancedCode)
  }

  /** Sends bytes in pieces. The system takes each before the next is sent. */
  async send(bytes: string | Buffer, cut: Cut = 'whole'): Promise<void> {
    const whole = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    for (const piece of pieces(whole, cut)) await this.#write(piece)
  }

  /** Waits until the server has closed the connection. */
  async closed(timeoutMs: number = REPLY_TIMEOUT_MS): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (!this.isClosed) {
      if (Date.now() > deadline) throw new Error(`the connection is not closed after ${timeoutMs} ms`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  async quit(): Promise<void> {
    await this.say('QUIT', 221)
    this.socket.end()
    await this.closed()
    this.socket.destroy()
  }

  /** Resets the connection, like a client that crashed. */
  vanish(): void {
    this.socket.resetAndDestroy()
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  #write(piece: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(piece, (error) => (error == null ? resolve() : reject(error)))
    })
  }

  #hear(text: string): void {
    this.#text += text
    for (;;) {
      const end = /^(?:\d{3}-[^\n]*\r\n)*\d{3}(?: [^\n]*)?\r\n/.exec(this.#text)
      if (end === null) break
      this.#text = this.#text.slice(end[0].length)
      this.#replies.push(parseReply(end[0]))
    }
    this.#waiting?.()
  }
}

function parseReply(text: string): HeardReply {
  const lines = text.trimEnd().split('\r\n')
  const last = /^(\d{3}) ?(?:([245]\.\d{1,3}\.\d{1,3}) )?/.exec(lines.at(-1) ?? '')
  const enhancedCode = last?.[2] ?? ''
  const skip = 4 + (enhancedCode === '' ? 0 : enhancedCode.length + 1)
  return {
    code: Number(last?.[1]),
    enhancedCode,
    lines: lines.map((content) => content.slice(skip)),
    text: text.trimEnd(),
  }
}
