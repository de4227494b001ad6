/** A server whose behaviour is data. It listens on all addresses of loopback of IPv4, and each address is a host of its own. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/**
 * What the server does where a reply is due: it says these lines; says nothing more (`hang`); closes or resets the connection; says 200
 * lines without end (`endless`); or says the line one octet at a time (`slowly: …`). A list has one act for each time, and the last
 * one stays.
 */
export type Act = string | readonly string[]

export interface Behaviour {
  readonly greeting?: Act
  readonly EHLO?: Act
  readonly HELO?: Act
  readonly MAIL?: Act
  /** By the local part; `*` is the others. */
  readonly RCPT?: Act | Readonly<Record<string, Act>>
  readonly DATA?: Act
  /** Behind the final dot. */
  readonly dot?: Act
  /** Behind the octets of a chunk. */
  readonly BDAT?: Act
  /** In the middle of the message. */
  readonly middle?: Act
  /** Default: PIPELINING, SIZE 50000000 and 8BITMIME. */
  readonly extensions?: readonly string[]
  /** Offers STARTTLS. `broken`: answers its handshake with text. */
  readonly tls?: { readonly key: string; readonly cert: string } | 'broken'
  readonly STARTTLS?: Act
}

export interface FarServer extends AsyncDisposable {
  readonly port: number
  /** The commands of each connection: `EHLO MAIL RCPT DATA .`. QUIT is left out, because nothing depends on it. */
  readonly connections: readonly string[][]
  /** The messages that got a positive reply, or whose reply got lost. */
  readonly taken: readonly string[]
}

const EXTENSIONS = ['PIPELINING', 'SIZE 50000000', '8BITMIME']
const DEFAULTS: Readonly<Record<string, string>> = {
  greeting: '220 far.example ESMTP',
  HELO: '250 far.example',
  MAIL: '250 2.1.0 ok',
  RCPT: '250 2.1.5 ok',
  DATA: '354 go on',
  dot: '250 2.0.0 taken',
  BDAT: '250 2.0.0 taken',
  STARTTLS: '220 go on',
  RSET: '250 2.0.0 ok',
  QUIT: '221 2.0.0 bye',
}
const MANY_LINES = 200

/** @param hosts What each host does, by its address */
export async function startFarServer(hosts: Readonly<Record<string, Behaviour>>): Promise<FarServer> {
  const connections: string[][] = []
  const taken: string[] = []
  const sockets = new Set<Socket>()
  const counts = new Map<string, number>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => {})
    const address = socket.localAddress ?? ''
    const log: string[] = []
    connections.push(log)
    const behaviour = hosts[address]
    if (behaviour === undefined) throw new Error(`no host has the address ${address}`)
    const count = (stage: string): number => {
      const key = `${address} ${stage}`
      const before = counts.get(key) ?? 0
      counts.set(key, before + 1)
      return before
    }
    new Dialogue(socket, { behaviour, log, taken, count }).begin()
  })
  await new Promise<void>((listening) => {
    server.listen(0, '0.0.0.0', listening)
  })
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    taken,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((closed) => server.close(closed))
    },
  }
}

interface DialogueDeps {
  readonly behaviour: Behaviour
  readonly log: string[]
  readonly taken: string[]
  /** Returns how often this stage was reached before. */
  count(stage: string): number
}

class Dialogue {
  readonly #deps: DialogueDeps
  #socket: Socket
  #received = ''
  #isInMessage = false
  /** The chunk whose octets are due. */
  #chunk: { readonly octets: number; readonly isLast: boolean } | undefined
  #chunks = ''
  /** Acts one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  #isOver = false

  constructor(socket: Socket, deps: DialogueDeps) {
    this.#socket = socket
    this.#deps = deps
  }

  begin(): void {
    this.#listen(this.#socket)
    this.#turn = this.#act('greeting')
  }

  #listen(socket: Socket): void {
    socket.on('data', (bytes: Buffer) => {
      this.#received += bytes.toString('latin1')
      this.#turn = this.#turn.then(() => this.#read())
    })
    socket.on('end', () => socket.end())
    socket.on('error', () => {})
  }

  async #read(): Promise<void> {
    while (!this.#isOver) {
      if (this.#isInMessage) {
        if (!(await this.#readMessage())) return
        continue
      }
      if (this.#chunk !== undefined) {
        if (!(await this.#readChunk(this.#chunk))) return
        continue
      }
      const end = this.#received.indexOf('\r\n')
      if (end < 0) return
      const line = this.#received.slice(0, end)
      this.#received = this.#received.slice(end + 2)
      await this.#command(line)
    }
  }

  /** Returns false if more has to come. */
  async #readMessage(): Promise<boolean> {
    const { behaviour, log, taken } = this.#deps
    if (behaviour.middle !== undefined && this.#received !== '') {
      log.push('middle')
      await this.#act('middle')
      this.#isOver = true
      return false
    }
    const text = `\r\n${this.#received}`
    const end = text.indexOf('\r\n.\r\n')
    if (end < 0) return false
    this.#received = text.slice(end + 5)
    this.#isInMessage = false
    log.push('.')
    const message = text.slice(2, end + 2).replaceAll('\r\n.', '\r\n')
    const said = await this.#act('dot')
    if (!/^[45]/.test(said)) taken.push(message)
    return true
  }

  /** Returns false if more has to come. */
  async #readChunk({ octets, isLast }: { readonly octets: number; readonly isLast: boolean }): Promise<boolean> {
    if (this.#received.length < octets) return false
    this.#chunks += this.#received.slice(0, octets)
    this.#received = this.#received.slice(octets)
    this.#chunk = undefined
    const said = await this.#act('BDAT')
    if (isLast && !/^[45]/.test(said)) this.#deps.taken.push(this.#chunks)
    if (isLast) this.#chunks = ''
    return true
  }

  async #command(line: string): Promise<void> {
    const [verb = ''] = line.toUpperCase().split(' ', 1)
    if (verb !== 'QUIT') this.#deps.log.push(line)
    if (verb === 'EHLO') {
      await this.#hello()
    } else if (verb === 'STARTTLS') {
      const said = await this.#act('STARTTLS')
      if (said.startsWith('220')) await this.#secure()
    } else if (verb === 'RCPT') {
      const localPart = /<([^@>]*)/.exec(line)?.[1] ?? ''
      const { RCPT } = this.#deps.behaviour
      const isByName = typeof RCPT === 'object' && !Array.isArray(RCPT)
      const acts = (isByName ? RCPT : { '*': RCPT }) as Readonly<Record<string, Act | undefined>>
      await this.#play(acts[localPart] ?? acts['*'] ?? DEFAULTS['RCPT'], `RCPT ${localPart in acts ? localPart : ''}`)
    } else if (verb === 'BDAT') {
      const [, octets, last] = line.split(' ')
      this.#chunk = { octets: Number(octets), isLast: last === 'LAST' }
    } else {
      const said = await this.#act(verb)
      if (verb === 'DATA' && said.startsWith('354')) this.#isInMessage = true
    }
  }

  async #hello(): Promise<void> {
    const { behaviour } = this.#deps
    const { extensions = EXTENSIONS, tls } = behaviour
    const isSecure = this.#socket instanceof TLSSocket
    const lines = ['far.example', ...extensions, ...(tls !== undefined && !isSecure ? ['STARTTLS'] : [])]
    const usual = lines.map((line, at) => `250${at === lines.length - 1 ? ' ' : '-'}${line}`).join('\r\n')
    await this.#play(behaviour.EHLO ?? usual, 'EHLO')
  }

  async #secure(): Promise<void> {
    const { tls } = this.#deps.behaviour
    if (tls === undefined || tls === 'broken') {
      this.#socket.write('this is no handshake\r\n')
      return this.#end('close')
    }
    const plain = this.#socket
    plain.removeAllListeners('data')
    const secure = new TLSSocket(plain, { isServer: true, key: tls.key, cert: tls.cert })
    this.#socket = secure
    this.#listen(secure)
    secure.once('secure', () => this.#deps.log.push('TLS'))
  }

  #act(stage: string): Promise<string> {
    const act = this.#deps.behaviour[stage as keyof Behaviour] as Act | undefined
    return this.#play(act ?? DEFAULTS[stage] ?? '500 5.5.1 unknown', stage)
  }

  /** Returns what it said. */
  async #play(act: Act | undefined, stage: string): Promise<string> {
    const list = typeof act === 'string' || act === undefined ? [act ?? ''] : act
    const one = list[Math.min(this.#deps.count(stage), list.length - 1)] ?? ''
    if (one === 'hang' || one === 'close' || one === 'reset') {
      this.#end(one)
    } else if (one === 'endless') {
      // A client that believes it would wait and keep lines without end.
      this.#socket.write('250-and another line\r\n'.repeat(MANY_LINES))
      this.#end('hang')
    } else if (one.startsWith('slowly: ')) {
      for (const octet of Buffer.from(`${one.slice(8)}\r\n`)) {
        this.#socket.write(Buffer.of(octet))
        await new Promise((next) => setImmediate(next))
      }
    } else {
      this.#socket.write(Buffer.from(`${one}\r\n`, 'latin1'))
      // RFC 5321 3.8: the server closes after 421.
      if (one.startsWith('421')) this.#end('close')
    }
    return one
  }

  #end(how: 'hang' | 'close' | 'reset'): void {
    this.#isOver = true
    if (how === 'close') this.#socket.end()
    else if (how === 'reset') this.#socket.resetAndDestroy()
    else this.#socket.pause()
  }
}
