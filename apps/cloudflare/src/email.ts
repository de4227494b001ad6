/**
 * Email Routing's door: a message that Cloudflare's own MTA has taken in, handed to `email()`.
 *
 * It is told to the engine as a session of SMTP inside the program, by the small client below. So there is one path: every hook,
 * limit, trace header and record is what it is for any other client, and no second account of them can differ. BDAT carries the
 * bytes as they are, one command for each chunk that Cloudflare hands over, with no copy and nothing gathered.
 *
 * What Email Routing does not tell, the record does not have: the peer's address, TLS, the name in its EHLO, other recipients.
 */
import type { Duplex, Server } from '@postern/engine'
import { pair } from '@postern/runtime/memory'

/** As much of a `ForwardableEmailMessage` as is needed. */
export interface RoutedEmail {
  /** '' or '<>' where it is a bounce. */
  readonly from: string
  readonly to: string
  readonly raw: { getReader(): ChunkReader }
  readonly rawSize: number
}

interface ChunkReader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>
  cancel(reason?: unknown): Promise<void>
}

/** How the session ended: 2xx, and the message is kept; 4xx, it may be handed in again later; 5xx, it may not. */
export interface Answer {
  readonly code: number
  /** Enhanced code and text. */
  readonly text: string
}

/** RFC 2606: what no host is called. */
const HELLO_NAME = 'email-routing.invalid'
/** It would end the command. */
const CONTROL = /\p{Cc}/u
/** It would end the path, and what follows would be a parameter; but in a quoted local part it is part of the name. */
const OUT_OF_PATH = /^(?:"(?:[^"\\]|\\.)*")?[^"]*[<> ]/u

/** Hands a message in. Rejects where it can't be read to its end, or not in time: then nothing is kept. */
export async function takeEmail(server: Server, email: RoutedEmail): Promise<Answer> {
  const reversePath = email.from === '<>' ? '' : email.from
  if (!isPath(reversePath)) return { code: 553, text: '5.1.7 Bad sender address' }
  if (!isPath(email.to)) return { code: 553, text: '5.1.3 Bad recipient address' }
  // Both ends are in this program: where one does not move, nothing is on its way.
  const [near, far] = pair({ lingerMs: 1_000 })
  const reader = email.raw.getReader()
  // It came to no port that asks for more. When the engine has waited long enough, nobody waits for the stream either.
  // Cloudflare has taken the addresses already, so an untidy one must not lose the message.
  const policy = { authRequired: false, tlsRequired: false, addresses: 'lenient' } as const
  const session = server.accept(far, policy).then(() => reader.cancel())
  try {
    const answer = await handIn(new Client(near), email, reversePath, reader)
    // From here on nothing may throw: what was kept would be handed in again.
    near.end().catch(() => undefined)
    return answer
  } catch (error) {
    near.destroy()
    throw error
  } finally {
    await session.catch(() => undefined)
  }
}

function isPath(address: string): boolean {
  return !CONTROL.test(address) && !OUT_OF_PATH.test(address)
}

async function handIn(client: Client, email: RoutedEmail, reversePath: string, reader: ChunkReader): Promise<Answer> {
  const { to, rawSize } = email
  const isAscii = /^\p{ASCII}*$/u.test(reversePath + to)
  const commands = [
    `EHLO ${HELLO_NAME}`,
    `MAIL FROM:<${reversePath}> SIZE=${rawSize} BODY=8BITMIME${isAscii ? '' : ' SMTPUTF8'}`,
    `RCPT TO:<${to}>`,
  ]
  let answer = await client.answer()
  for (const command of commands) {
    if (answer.code >= 400) return answer
    answer = await client.ask(command)
  }
  let size = 0
  while (answer.code < 400) {
    const { done, value } = await reader.read()
    if (done || value === undefined) break
    if (value.length === 0) continue
    size += value.length
    answer = await client.ask(`BDAT ${value.length}`, value)
  }
  if (answer.code >= 400) return answer
  if (size !== rawSize) throw new Error(`${size} of ${rawSize} bytes of the message arrived`)
  return client.ask('BDAT 0 LAST')
}

/** A client that waits for the reply to each command. The server is our own, so replies are short and well formed. */
class Client {
  readonly #duplex: Duplex
  readonly #decoder = new TextDecoder()
  #received = ''

  constructor(duplex: Duplex) {
    this.#duplex = duplex
  }

  /** Sends a command, and bytes behind it, and waits for the reply. */
  async ask(command: string, bytes?: Uint8Array): Promise<Answer> {
    await this.#duplex.write(new TextEncoder().encode(`${command}\r\n`))
    if (bytes !== undefined) await this.#duplex.write(bytes)
    return this.answer()
  }

  async answer(): Promise<Answer> {
    const texts: string[] = []
    for (;;) {
      const line = await this.#line()
      texts.push(line.slice(4))
      if (line[3] !== '-') return { code: Number(line.slice(0, 3)), text: texts.join(' ') }
    }
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#received.indexOf('\r\n')
      if (end !== -1) {
        const line = this.#received.slice(0, end)
        this.#received = this.#received.slice(end + 2)
        return line
      }
      const bytes = await this.#duplex.read()
      if (bytes === null) throw new Error('the session ended before its reply')
      this.#received += this.#decoder.decode(bytes, { stream: true })
    }
  }
}
