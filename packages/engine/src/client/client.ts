/** A connection to a server, after its greeting. */
import type { Duplex, TlsInfo } from '../duplex.ts'
import { readHello, readOldHello, type ServerInfo } from '../protocol/client/capabilities.ts'
import type { OutgoingEnvelope, SendResult } from '../protocol/client/outgoing.ts'
import type { ServerReply } from '../protocol/client/server-reply.ts'
import type { ClientCredentials } from '../sasl/client/mechanism.ts'
import type { Channel } from './channel.ts'
import { refusal } from './commands.ts'
import { ClientError } from './error.ts'
import { login } from './login.ts'
import type { OutgoingMessage } from './message.ts'
import type { ClientSettings } from './options.ts'
import { type SendOptions, Transaction } from './transaction.ts'

export interface Client {
  readonly server: ServerInfo
  /** Present once the connection is TLS. */
  readonly tls: TlsInfo | undefined
  /** Returns the certificates that the server showed; see {@link Duplex.peerCertificates}. Missing in clear, and if the runtime does not tell. */
  readonly peerCertificates: Duplex['peerCertificates']
  readonly isAuthenticated: boolean
  /** The user who logged in; undefined if nobody did, or the credentials name none. */
  readonly user: string | undefined
  /** False after `quit`, `destroy`, an error that ends the connection, or a 421. */
  readonly isOpen: boolean
  /**
   * Sends a message. Resolves if at least one recipient has it.
   * A CR or LF alone becomes CRLF, and a last line without CRLF gets one, unless `bodyType` is BINARYMIME.
   * @throws ClientError, with `recipients`; TypeError if the envelope is not valid
   */
  send(envelope: OutgoingEnvelope, message: OutgoingMessage, options?: SendOptions): Promise<SendResult>
  verify(address: string): Promise<ServerReply>
  expand(list: string): Promise<ServerReply>
  help(topic?: string): Promise<ServerReply>
  noop(): Promise<ServerReply>
  reset(): Promise<ServerReply>
  /**
   * Sends any command that one reply answers.
   * @throws ClientError only if the connection fails; TypeError if the line has a control character
   */
  command(line: string): Promise<ServerReply>
  /** @throws ClientError */
  authenticate(credentials: ClientCredentials): Promise<void>
  /** Makes the connection TLS, and greets again. @throws ClientError */
  startTls(): Promise<TlsInfo>
  /** Says QUIT and closes. Never rejects. */
  quit(): Promise<void>
  /** Closes at once. */
  destroy(reason?: Error): void
}

const READY = 220

export class SmtpClient implements Client {
  readonly #channel: Channel
  readonly #settings: ClientSettings
  readonly #greeting: ServerReply
  #server: ServerInfo
  #user: string | undefined
  #isAuthenticated = false
  #needsReset = false
  /** The calls wait for one another. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(channel: Channel, settings: ClientSettings, greeting: ServerReply) {
    this.#channel = channel
    this.#settings = settings
    this.#greeting = greeting
    this.#server = readOldHello(greeting, greeting)
  }

  get server(): ServerInfo {
    return this.#server
  }

  get tls(): TlsInfo | undefined {
    return this.#channel.duplex.tls
  }

  get peerCertificates(): Duplex['peerCertificates'] {
    return this.#channel.duplex.peerCertificates
  }

  get user(): string | undefined {
    return this.#user
  }

  get isAuthenticated(): boolean {
    return this.#isAuthenticated
  }

  get isOpen(): boolean {
    return this.#channel.isOpen && !this.#channel.isBroken
  }

  /** Does what the options ask for: EHLO, STARTTLS, AUTH. */
  async open(credentials: ClientCredentials | undefined): Promise<void> {
    const { startTls } = this.#settings
    const channel = this.#channel
    await this.#hello()
    if (channel.duplex.tls === undefined && startTls !== 'never') {
      const isPossible = this.#server.extensions.has('STARTTLS') && channel.duplex.startTls !== undefined
      if (isPossible) await this.#startTls(startTls === 'required')
      else if (startTls === 'required') throw this.#noTls('the server does not offer STARTTLS')
    }
    if (credentials !== undefined) await this.#authenticate(credentials)
  }

  send(envelope: OutgoingEnvelope, message: OutgoingMessage, options: SendOptions = {}): Promise<SendResult> {
    return this.#inTurn(() => this.#send(envelope, message, options))
  }

  verify(address: string): Promise<ServerReply> {
    return this.command(`VRFY ${this.#query(address)}`)
  }

  expand(list: string): Promise<ServerReply> {
    return this.command(`EXPN ${this.#query(list)}`)
  }

  help(topic?: string): Promise<ServerReply> {
    return this.command(topic === undefined ? 'HELP' : `HELP ${topic}`)
  }

  noop(): Promise<ServerReply> {
    return this.command('NOOP')
  }

  reset(): Promise<ServerReply> {
    return this.command('RSET')
  }

  command(line: string): Promise<ServerReply> {
    if (/[\x00-\x1f\x7f]/.test(line)) {
      return Promise.reject(new TypeError(`command: ${JSON.stringify(line)} has a control character`))
    }
    return this.#inTurn(() => this.#command(line))
  }

  authenticate(credentials: ClientCredentials): Promise<void> {
    return this.#inTurn(() => this.#authenticate(credentials))
  }

  startTls(): Promise<TlsInfo> {
    return this.#inTurn(async () => {
      if (!this.#server.extensions.has('STARTTLS')) {
        throw new ClientError('the server does not offer STARTTLS', { reason: 'tls', stage: 'starttls' })
      }
      return (await this.#startTls(true)) as TlsInfo
    })
  }

  async quit(): Promise<void> {
    const channel = this.#channel
    await this.#inTurn(async () => {
      if (!channel.isOpen) return
      channel.assertReady('command')
      void channel.command('QUIT')
      await channel.reply('command', channel.timeouts.quitMs)
    }).catch(() => {})
    await channel.leave()
  }

  destroy(reason?: Error): void {
    this.#channel.fail('aborted', reason?.message ?? 'the connection was destroyed', reason)
  }

  async #send(envelope: OutgoingEnvelope, message: OutgoingMessage, options: SendOptions): Promise<SendResult> {
    const channel = this.#channel
    channel.assertReady('mail')
    if (options.signal?.aborted === true) throw abortedBy(options.signal)
    const deps = {
      channel,
      server: this.#server,
      isLmtp: this.#settings.isLmtp,
      needsReset: this.#needsReset,
    }
    const transaction = new Transaction(deps, envelope, message, options)
    const stop = endOn(channel, options.signal)
    try {
      const { outcome, needsReset } = await transaction.run()
      this.#needsReset = needsReset
      if (outcome instanceof ClientError) throw outcome
      return outcome
    } finally {
      stop()
    }
  }

  async #command(line: string): Promise<ServerReply> {
    const channel = this.#channel
    channel.assertReady('command')
    void channel.command(line)
    const reply = await channel.reply('command', channel.timeouts.commandMs)
    if (/^rset$/i.test(line) && reply.code < 300) this.#needsReset = false
    // A command may have begun a transaction.
    else if (/^(?:mail|rcpt)\b/i.test(line)) this.#needsReset = true
    return reply
  }

  async #hello(): Promise<void> {
    const { hostname, isLmtp } = this.#settings
    const channel = this.#channel
    const { helloMs } = channel.timeouts
    channel.assertReady('hello')
    void channel.command(`${isLmtp ? 'LHLO' : 'EHLO'} ${hostname}`)
    const hello = await channel.reply('hello', helloMs)
    if (isOk(hello)) {
      this.#server = readHello(this.#greeting, hello)
      return
    }
    if (hello.code < 500 || isLmtp) throw refusal(channel, 'hello', hello)
    channel.assertReady('hello')
    void channel.command(`HELO ${hostname}`)
    const oldHello = await channel.reply('hello', helloMs)
    if (!isOk(oldHello)) throw refusal(channel, 'hello', oldHello)
    this.#server = readOldHello(this.#greeting, oldHello)
  }

  /** Returns undefined if the server refuses and that is allowed. */
  async #startTls(isRequired: boolean): Promise<TlsInfo | undefined> {
    const channel = this.#channel
    channel.assertReady('starttls')
    void channel.command('STARTTLS')
    const reply = await channel.reply('starttls', channel.timeouts.startTlsMs)
    if (reply.code !== READY) {
      const refused = refusal(channel, 'starttls', reply)
      if (refused.reason !== 'refused') throw refused
      if (!isRequired && channel.isOpen) return undefined
      throw new ClientError(refused.message, { reason: 'tls', stage: 'starttls', reply, isTemporary: true })
    }
    const info = await channel.startTls()
    // Nothing that the server said in clear counts any more (RFC 3207 4.2).
    this.#isAuthenticated = false
    this.#user = undefined
    this.#needsReset = false
    await this.#hello()
    return info
  }

  async #authenticate(credentials: ClientCredentials): Promise<void> {
    const { mechanisms, allowSecretInClear } = this.#settings
    const offered = this.#server.extensions.get('AUTH') ?? []
    await login(this.#channel, offered, this.#server.name, credentials, { mechanisms, allowSecretInClear })
    this.#isAuthenticated = true
    this.#user = credentials.authorizationId ?? credentials.username
  }

  #query(text: string): string {
    const isUtf8 = /[^\x00-\x7f]/.test(text) && this.#server.extensions.has('SMTPUTF8')
    return isUtf8 ? `${text} SMTPUTF8` : text
  }

  #noTls(message: string): ClientError {
    return new ClientError(message, { reason: 'tls', stage: 'starttls' })
  }

  #inTurn<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(call)
    this.#turn = result.then(
      () => this.rest(),
      () => this.rest(),
    )
    return result
  }

  /** Watches the connection between two calls. Where TLS may still begin, only the handshake may read. */
  rest(): void {
    const { duplex } = this.#channel
    this.#channel.idle(duplex.startTls === undefined || !this.#server.extensions.has('STARTTLS'))
  }
}

function abortedBy({ reason: cause }: AbortSignal): ClientError {
  return new ClientError('the caller ended it', { reason: 'aborted', stage: 'mail', cause })
}

/** Ends the connection when the signal does. Returns a function that stops listening. */
export function endOn(channel: Channel, signal: AbortSignal | undefined): () => void {
  if (signal === undefined) return () => {}
  const end = (): void => void channel.fail('aborted', 'the caller ended it', signal.reason)
  if (signal.aborted) end()
  else signal.addEventListener('abort', end, { once: true })
  return () => signal.removeEventListener('abort', end)
}

function isOk({ code }: ServerReply): boolean {
  return code === 250
}
