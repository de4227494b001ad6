/**
 * A server that takes numbered messages and counts them. By chance it loses its reply to a message. Every other connection offers
 * CHUNKING: there a message comes with its commands, and all replies to them go out together, so they get lost together.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** `X-Number` of the messages, below the trace fields. */
const NUMBER = /^X-Number: (\d+)\r$/m
const CHUNK = /^BDAT (\d+) LAST$/i
const REPLIES: Readonly<Record<string, string>> = {
  MAIL: '250 ok',
  RCPT: '250 ok',
  RSET: '250 ok',
  DATA: '354 go on',
  QUIT: '221 bye',
}

export class Sink implements AsyncDisposable {
  /** How often each number was taken. */
  readonly taken: Map<number, number> = new Map()
  /** How often the reply to each number was lost. */
  readonly lost: Map<number, number> = new Map()
  /** Returns whether the next reply to a message is lost. */
  losesReply: () => boolean = () => false
  readonly #sockets = new Set<Socket>()
  #connections = 0
  readonly #server = createServer((socket) => this.#serve(socket))
  readonly #check: (number: number, message: Buffer) => void

  /** @param check Looks at each message; what it throws ends the process */
  constructor(check: (number: number, message: Buffer) => void) {
    this.#check = check
  }

  async listen(): Promise<number> {
    await new Promise<void>((listening) => {
      this.#server.listen(0, '127.0.0.1', listening)
    })
    return (this.#server.address() as AddressInfo).port
  }

  /** Waits until no client is connected: then all that clients have sent is counted. */
  async quiet(): Promise<void> {
    while (this.#sockets.size > 0) await new Promise((next) => setTimeout(next, 2))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((closed) => this.#server.close(closed))
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    const extensions = this.#connections++ % 2 === 0 ? ['8BITMIME'] : ['CHUNKING', '8BITMIME']
    let received = Buffer.alloc(0)
    let isInMessage = false
    let isLeaving = false
    socket.on('close', () => this.#sockets.delete(socket)).on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes])
      let replies = ''
      for (;;) {
        const ending = isInMessage ? '\r\n.\r\n' : '\r\n'
        const end = received.indexOf(ending)
        if (end < 0) break
        const part = received.subarray(0, end)
        const [, octets] = (isInMessage ? undefined : CHUNK.exec(part.toString('latin1'))) ?? []
        const next = end + ending.length + Number(octets ?? 0)
        if (next > received.length) break
        const chunk = received.subarray(end + ending.length, next)
        received = received.subarray(next)
        if (isInMessage || octets !== undefined) {
          const message = isInMessage ? unstuffed(part) : chunk
          isInMessage = false
          if (!this.#take(message)) return void socket.resetAndDestroy()
          replies += '250 taken\r\n'
          continue
        }
        const verb = part.toString('latin1', 0, 4).toUpperCase()
        isInMessage = verb === 'DATA'
        replies += verb === 'EHLO' ? hello(extensions) : `${REPLIES[verb] ?? '500 what'}\r\n`
        isLeaving = verb === 'QUIT'
      }
      if (replies !== '') socket.write(replies)
      if (isLeaving) socket.end()
    })
    socket.write('220 sink.example\r\n')
  }

  /** Returns false if the reply is lost. */
  #take(message: Buffer): boolean {
    const number = Number(NUMBER.exec(message.toString('latin1', 0, 4_000))?.[1])
    this.#check(number, message)
    add(this.taken, number)
    if (!this.losesReply()) return true
    add(this.lost, number)
    return false
  }
}

function hello(extensions: readonly string[]): string {
  const lines = ['sink.example', 'PIPELINING', ...extensions]
  return lines.map((line, at) => `250${at === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join('')
}

/** Undoes the dot-stuffing, and adds the end of the last line. */
function unstuffed(text: Buffer): Buffer {
  return Buffer.from(`\r\n${text.toString('latin1')}\r\n`.replaceAll('\r\n.', '\r\n').slice(2), 'latin1')
}

function add(counts: Map<number, number>, number: number): void {
  counts.set(number, (counts.get(number) ?? 0) + 1)
}
