/** An SMTP server for one test. It keeps messages in memory, and shows them parsed. */
import {
  type AuthOptions,
  createServer,
  dsn,
  type Duplex,
  type Listener,
  type Message,
  type RefusedCommand,
  type Reply,
  reply,
  type Server,
  type Session,
  type Verdict,
} from '@postern/engine'
import { selfSigned } from '@postern/runtime/tls'
import { isStorageError, type MailRecord, type MailStore, mailStore } from '@postern/storage'
import { memory } from '@postern/storage/memory'
import { Arrivals } from './arrivals.ts'
import { type Chance, seededChance } from './chance.ts'
import { checkWhole, MAX_MS } from './check.ts'
import { FaultPlan, type Faults, type Stage } from './faults.ts'
import { checkFilter, type Filter } from './filter.ts'
import { readMessage, type TestMessage } from './message.ts'
import { resolveOptions, type TestInboxOptions } from './options.ts'
import { listen } from './runtime.ts'

export interface TestInbox extends AsyncDisposable {
  /** `smtp://127.0.0.1:PORT`; `smtps://…` with implicit TLS. */
  readonly url: string
  readonly host: string
  readonly port: number
  /** The certificate in PEM, if the inbox has TLS. A client that has it as its authority trusts the inbox. */
  readonly certificate: string | undefined
  /**
   * The messages that came, oldest first. A message is in the list before its client gets the reply. The list grows while messages
   * come. `clear` begins a new list.
   */
  readonly messages: readonly TestMessage[]
  /** The messages as stored, with the trace header on top. */
  readonly store: MailStore
  /**
   * Returns the first message that matches, also one that came before the call.
   *
   * @throws NoMessageError if none comes in time. It lists the messages that came instead
   */
  waitFor(filter?: WaitOptions): Promise<TestMessage>
  /** Forgets all messages. */
  clear(): Promise<void>
  /** Replaces the faults. `setFaults({})` ends them. @throws OptionError */
  setFaults(faults: Faults): void
  /** Ends every connection and every wait, and frees the port. `await using` calls it. */
  close(): Promise<void>
}

export interface WaitOptions extends Filter {
  /** Default 4,000, because test runners give up after 5,000 and cannot say what came instead. 0 looks only at the messages that are there. */
  readonly timeoutMs?: number
}

const DEFAULT_TIMEOUT_MS = 4_000
/** The time that clients have to read their last reply. */
const CLOSE_GRACE_MS = 500
const DISCONNECTED = reply(421, '4.3.2', 'Disconnected by the test')
/** For addresses that mean every address of the machine: the address that clients use. */
const REACHED_BY: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** Starts a server on a free port of this machine. @throws OptionError, or the error of listening */
export async function testInbox(options: TestInboxOptions = {}): Promise<TestInbox> {
  const { host, port, tls, ...settings } = resolveOptions(options)
  const { refuse = [], disconnect = [], delayMs = 0 } = options
  const chance = seededChance(settings.seed)
  const plan = new FaultPlan({ refuse, disconnect, delayMs }, chance)
  const pair = tls === false ? undefined : await selfSigned({ hosts: ['localhost', '127.0.0.1', '::1', host] })
  const inbox = new Inbox({ ...settings, tls, chance, plan, certificate: pair?.cert })
  await inbox.listen({ host, port, ...(pair !== undefined && { tls: pair, implicitTls: tls === 'implicit' }) })
  return inbox
}

type InboxDeps = Pick<Required<TestInboxOptions>, 'login' | 'limits' | 'maxMessages' | 'maxBytes' | 'tls'> & {
  readonly chance: Chance
  readonly plan: FaultPlan
  readonly certificate: string | undefined
}

class Inbox implements TestInbox {
  readonly certificate: string | undefined
  readonly store: MailStore
  readonly #deps: InboxDeps
  readonly #server: Server
  readonly #arrivals = new Arrivals()
  /** The connections by the port of the client. */
  readonly #connections = new Map<number, Duplex>()
  #plan: FaultPlan
  #listener: Listener | undefined
  /** The number of messages that are being received. */
  #arriving = 0
  #closed: Promise<void> | undefined

  constructor(deps: InboxDeps) {
    const { certificate, limits, login, maxBytes, plan, tls } = deps
    this.#deps = deps
    this.#plan = plan
    this.certificate = certificate
    this.store = mailStore(memory({ maxBytes }))
    this.#server = createServer({
      hostname: 'localhost',
      // All clients of a test have the same address. The test itself decides how long a hook may wait.
      limits: { maxConnectionsPerAddress: 10_000, hookTimeoutMs: MAX_MS, ...limits },
      // Nothing sends reports, but a test wants to see what the program asks for.
      extensions: [dsn],
      ...(login !== false && { auth: authFor(login, tls !== false) }),
      connect: (session) => this.#answer('connect', '', session),
      mail: ({ address }, session) => this.#answer('mail', address, session),
      rcpt: ({ address }, session) => this.#answer('rcpt', address, session),
      data: (message, session) => this.#receive(message, session),
      refused: (refused) => this.#arrivals.addFailure(describeRefusal(refused)),
      error: (error) => this.#fail(error),
    })
  }

  async listen(where: Parameters<typeof listen>[1]): Promise<void> {
    const server = this.#server
    this.#listener = await listen(
      {
        accept: async (duplex, overrides, place) => {
          const { port } = duplex.remote
          this.#connections.set(port, duplex)
          await server.accept(duplex, overrides, place)
          if (this.#connections.get(port) === duplex) this.#connections.delete(port)
        },
        reserve: (remote, giveUp, overrides) => server.reserve(remote, giveUp, overrides),
      },
      { ...where, error: (error) => this.#fail(error) },
    )
  }

  get host(): string {
    const { address = '' } = this.#listener?.address ?? {}
    return REACHED_BY[address] ?? address
  }

  get port(): number {
    return this.#listener?.address.port ?? 0
  }

  get url(): string {
    const scheme = this.#deps.tls === 'implicit' ? 'smtps' : 'smtp'
    return `${scheme}://${this.host.includes(':') ? `[${this.host}]` : this.host}:${this.port}`
  }

  get messages(): readonly TestMessage[] {
    return this.#arrivals.messages
  }

  async waitFor(options: WaitOptions = {}): Promise<TestMessage> {
    checkFilter(options, ['timeoutMs'])
    const { timeoutMs = DEFAULT_TIMEOUT_MS, ...filter } = options
    checkWhole('waitFor.timeoutMs', timeoutMs, 0, MAX_MS)
    return await this.#arrivals.wait(filter, timeoutMs)
  }

  async clear(): Promise<void> {
    const { messages } = this
    this.#arrivals.clear()
    for (const { id } of messages) await this.store.delete(id)
  }

  setFaults(faults: Faults): void {
    this.#plan = new FaultPlan(faults, this.#deps.chance)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#arrivals.close()
    await this.#listener?.close()
    await this.#server.close({ graceMs: CLOSE_GRACE_MS })
  }

  /** Answers a command as the faults say. */
  async #answer(stage: Stage, address: string, session: Session): Promise<Verdict> {
    await this.#delay(stage, session)
    const outcome = this.#plan.next(stage, address)
    return outcome === 'disconnect' ? this.#disconnect(session) : outcome
  }

  async #receive(message: Message, session: Session): Promise<Verdict> {
    await this.#delay('data', session)
    const outcome = this.#plan.next('data', '')
    if (outcome === 'disconnect') {
      while ((await message.read()) !== null);
      return this.#disconnect(session)
    }
    if (outcome !== undefined) return outcome
    const { maxMessages } = this.#deps
    if (this.messages.length + this.#arriving >= maxMessages) return full('maxMessages', maxMessages)
    this.#arriving++
    try {
      return await this.#keep(message, session)
    } finally {
      this.#arriving--
    }
  }

  async #keep(message: Message, session: Session): Promise<Verdict> {
    let record: MailRecord
    try {
      record = await this.store.save(message, session)
    } catch (error) {
      if (isStorageError(error, 'no-space')) return full('maxBytes', this.#deps.maxBytes)
      throw error
    }
    const stored = await this.store.load(record.id)
    const bytes = await stored.bytes()
    this.#arrivals.add(await readMessage(record, bytes.subarray(message.trace.length)))
    return reply(250, '2.0.0', `OK kept as ${record.id}`)
  }

  #disconnect(session: Session): Reply {
    this.#connections.get(session.remote.port)?.destroy()
    return DISCONNECTED
  }

  /** Waits as the faults say, but not longer than the session. */
  #delay(stage: Stage, session: Session): Promise<void> | undefined {
    const ms = this.#plan.delayMs(stage)
    return ms === 0 ? undefined : sleep(ms, session.signal)
  }

  #fail(error: unknown): void {
    this.#arrivals.addFailure(error instanceof Error ? error.message : String(error))
  }
}

/** Accepts every login, or only those of a table. */
function authFor(login: 'any' | Readonly<Record<string, string>>, hasTls: boolean): AuthOptions {
  return {
    required: login !== 'any',
    allowWithoutTls: !hasTls,
    authenticate({ username, password }) {
      return login === 'any' || login[username] === password ? { user: username } : undefined
    },
  }
}

function full(option: string, limit: number): Reply {
  return reply(452, '4.3.1', `The test inbox is full: ${option} is ${limit}`)
}

function describeRefusal({ verb, reply: { wire } }: RefusedCommand): string {
  return `${verb === '' ? 'connection' : verb}: ${wire.trimEnd()}`
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end)
  })
}
