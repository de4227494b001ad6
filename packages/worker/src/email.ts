/**
 * Receives a message from Email Routing: Cloudflare's own MTA has accepted it and calls `email()`.
 *
 * The small client below sends it to the engine in an SMTP session inside the program. So hooks, limits, trace header
 * and record are the same as for any other client, without a second implementation. BDAT carries the bytes unchanged,
 * one command for each chunk from Cloudflare, without a copy or a buffer.
 *
 * Email Routing does not report the client's address, TLS, the name in its EHLO, or other recipients. So the record
 * does not have them.
 */
import type { Duplex, Server } from '@postern/engine'
import { pair } from '@postern/runtime/memory'

/** The parts of a `ForwardableEmailMessage` that are used here. */
export interface RoutedEmail {
  /** '' or '<>' if it is a bounce. */
  readonly from: string
  readonly to: string
  readonly raw: { getReader(): ChunkReader }
  readonly rawSize: number
}

interface ChunkReader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>
  cancel(reason?: unknown): Promise<void>
}

/** The result: 2xx if the message is stored, 4xx if Cloudflare may try again later, 5xx if it may not. */
export interface Answer {
  readonly code: number
  /** Enhanced code and text. */
  readonly text: string
}

/** A name that no host has (RFC 2606). */
const HELLO_NAME = 'email-routing.invalid'
/** A control character would end the command. */
const CONTROL = /\p{Cc}/u
/** These characters would end the path, and a parameter would follow. In a quoted local part they belong to the name. */
const OUT_OF_PATH = /^(?:"(?:[^"\\]|\\.)*")?[^"]*[<> ]/u

/** Sends a message to the server. Rejects if the message cannot be read to its end in time. Then nothing is stored. */
export async function takeEmail(server: Server, email: RoutedEmail): Promise<Answer> {
  const reversePath = email.from === '<>' ? '' : email.from
  if (!isPath(reversePath)) return { code: 553, text: '5.1.7 Bad sender address' }
  if (!isPath(email.to)) return { code: 553, text: '5.1.3 Bad recipient address' }
  // Both ends are in this program, so a short linger is enough.
  const [near, far] = pair({ lingerMs: 1_000 })
  const reader = email.raw.getReader()
  // Email Routing uses neither AUTH nor TLS here. When the session ends, for example after a timeout, the stream is cancelled too.
  // Cloudflare has accepted the addresses already, so a syntax error in one must not lose the message.
  const policy = { authRequired: false, tlsRequired: false, addresses: 'lenient' } as const
  const session = server.accept(far, policy).then(() => reader.cancel())
  try {
    const answer = await handIn(new Client(near), email, reversePath, reader)
    // From here on nothing may throw, because Cloudflare would send the stored message again.
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

/** A client that waits for the reply to each command. The server is Postern itself, so replies are short and valid. */
class Client {
  readonly #duplex: Duplex
  readonly #decoder = new TextDecoder()
  #received = ''

  constructor(duplex: Duplex) {
    this.#duplex = duplex
  }

  /** Sends a command, and the bytes after it, and waits for the reply. */
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
