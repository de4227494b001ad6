/** A smarthost for the tests: with STARTTLS, one user, answers by a script, and times when it is down. */
import { createServer, type Envelope, type Listener, reply, type Server } from '@postern/engine'
import { listen } from '@postern/runtime/node'
import { freePort } from '../../../test/kit/port.ts'
import { eventually } from '../../../test/kit/waiting.ts'

export const SMARTHOST_USER = 'worker'
export const SMARTHOST_PASSWORD = 'correct horse'

/** A message that it took. */
export interface Taken {
  readonly envelope: Envelope
  readonly bytes: Buffer
  readonly user: string | undefined
  readonly isSecure: boolean
}

export class Smarthost implements AsyncDisposable {
  readonly port: number
  readonly taken: Taken[] = []
  /** How many passwords it was shown. */
  logins = 0
  /** Its answers to the next messages. Then it takes them. */
  readonly codes: number[] = []
  readonly #tls: { readonly key: string; readonly cert: string }
  #server: Server | undefined
  #listener: Listener | undefined

  private constructor(port: number, tls: { readonly key: string; readonly cert: string }) {
    this.port = port
    this.#tls = tls
  }

  static async start(tls: { readonly key: string; readonly cert: string }): Promise<Smarthost> {
    const smarthost = new Smarthost(await freePort(), tls)
    await smarthost.up()
    return smarthost
  }

  get url(): string {
    const password = encodeURIComponent(SMARTHOST_PASSWORD)
    return `smtp+starttls://${SMARTHOST_USER}:${password}@localhost:${this.port}`
  }

  async up(): Promise<void> {
    const server = createServer({
      hostname: 'smarthost.example',
      tls: { startTls: true },
      auth: {
        required: true,
        accounts: {
          checkPassword: ({ username, password }) => {
            this.logins++
            return username === SMARTHOST_USER && password === SMARTHOST_PASSWORD ? { user: username } : undefined
          },
        },
      },
      data: async (message, session) => {
        const bytes = Buffer.from(await message.bytes())
        const code = this.codes.shift() ?? 250
        if (code !== 250) return reply(code, `${Math.floor(code / 100)}.7.1`, 'Not this one')
        const { user, tls: secured } = session
        this.taken.push({ envelope: message.envelope, bytes, user, isSecure: secured !== undefined })
        return undefined
      },
    })
    this.#server = server
    this.#listener = await listen(server, { host: '127.0.0.1', port: this.port, tls: this.#tls })
  }

  /** Ends its connections, and takes no more. */
  async down(): Promise<void> {
    await this.#listener?.close()
    await this.#server?.close({ graceMs: 0 })
    this.#listener = undefined
  }

  /** Waits for a message whose subject is this one, and returns all of them. */
  async about(subject: string): Promise<readonly Taken[]> {
    const found = (): readonly Taken[] => this.taken.filter(({ bytes }) => bytes.includes(`Subject: ${subject}\r\n`))
    await eventually(() => found().length > 0, `a message about ${subject}`)
    return found()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
  }
}
