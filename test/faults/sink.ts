/** A server that takes numbered messages and counts them. By chance it loses its reply to a message. */
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** `X-Number` of the messages, below the trace fields. */
const NUMBER = /^X-Number: (\d+)\r$/m
const REPLIES: Readonly<Record<string, string>> = {
  EHLO: '250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME',
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
    let received = Buffer.alloc(0)
    let isInMessage = false
    socket.on('close', () => this.#sockets.delete(socket)).on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes])
      for (;;) {
        const ending = isInMessage ? '\r\n.\r\n' : '\r\n'
        const end = received.indexOf(ending)
        if (end < 0) return
        const part = received.subarray(0, end)
        received = received.subarray(end + ending.length)
        if (isInMessage) {
          isInMessage = false
          if (!this.#take(part)) return void socket.resetAndDestroy()
          socket.write('250 taken\r\n')
          continue
        }
        const verb = part.toString('latin1', 0, 4).toUpperCase()
        isInMessage = verb === 'DATA'
        socket.write(`${REPLIES[verb] ?? '500 what'}\r\n`)
        if (verb === 'QUIT') socket.end()
      }
    })
    socket.write('220 sink.example\r\n')
  }

  /** Returns false if the reply is lost. */
  #take(text: Buffer): boolean {
    const message = Buffer.from(`\r\n${text.toString('latin1')}\r\n`.replaceAll('\r\n.', '\r\n').slice(2), 'latin1')
    const number = Number(NUMBER.exec(message.toString('latin1', 0, 4_000))?.[1])
    this.#check(number, message)
    add(this.taken, number)
    if (!this.losesReply()) return true
    add(this.lost, number)
    return false
  }
}

function add(counts: Map<number, number>, number: number): void {
  counts.set(number, (counts.get(number) ?? 0) + 1)
}
