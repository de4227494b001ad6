/** A client that speaks SMTP by hand. */
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'

export class Client {
  readonly #socket: Socket
  #received = ''
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      this.#received += text
      this.#wake()
    })
    socket.on('close', () => this.#wake())
    socket.on('error', () => {})
  }

  static async connect(port: number): Promise<Client> {
    const socket = connect(port, '127.0.0.1')
    const client = new Client(socket)
    await once(socket, 'connect')
    return client
  }

  /** Finishes sending. */
  end(): void {
    this.#socket.end()
  }

  send(text: string): void {
    this.#socket.write(text)
  }

  /** The next reply, its lines joined by LF. */
  async reply(): Promise<string> {
    for (;;) {
      const match = /^(?:\d{3}-[^\r]*\r\n)*\d{3} [^\r]*\r\n/.exec(this.#received)
      if (match !== null) {
        this.#received = this.#received.slice(match[0].length)
        return match[0].trimEnd().replaceAll('\r\n', '\n')
      }
      if (this.#socket.destroyed) throw new Error(`closed; the rest is ${JSON.stringify(this.#received)}`)
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  command(line: string): Promise<string> {
    this.send(`${line}\r\n`)
    return this.reply()
  }

  /** Greeting and EHLO. */
  async ehlo(): Promise<string> {
    await this.reply()
    return this.command('EHLO client.example')
  }

  /** Everything up to the middle of a message. */
  async data(beginning: string): Promise<void> {
    await this.ehlo()
    await this.command('MAIL FROM:<a@example.com>')
    await this.command('RCPT TO:<b@example.com>')
    await this.command('DATA')
    this.send(beginning)
  }
}
