/** The engine's own server in memory, which keeps what it gets. */
import { createServer, type Duplex, type ServerOptions, type SessionOverrides, type WireLine } from '@postern/engine'
import { type Client, type ClientOptions, openClient } from '@postern/engine/client'
import { pair, type PairOptions } from '@postern/runtime/memory'
import { binary } from '../protocol.ts'

export interface Arrived {
  readonly from: string
  readonly to: readonly string[]
  readonly text: string
}

export interface House {
  readonly arrived: Arrived[]
  /** Connects and greets. Each end may be wrapped, which changes how its reads are cut, for example. */
  connect(options?: Partial<ClientOptions>, link?: Link): Promise<Client>
  /** The lines that the server got. */
  readonly commands: string[]
}

export interface Link extends PairOptions {
  readonly overrides?: SessionOverrides
  client?(duplex: Duplex): Duplex
  server?(duplex: Duplex): Duplex
}

export function house(options: Partial<ServerOptions> = {}): House {
  const arrived: Arrived[] = []
  const commands: string[] = []
  const server = createServer({
    hostname: 'mx.example.com',
    async data(message) {
      let text = ''
      for await (const chunk of message.body) text += binary(chunk)
      const { reversePath, forwardPaths } = message.envelope
      arrived.push({ from: reversePath.address, to: forwardPaths.map(({ address }) => address), text })
    },
    trace({ from, text }: WireLine) {
      if (from === 'client') commands.push(text)
    },
    ...options,
  })
  return {
    arrived,
    commands,
    connect(given, { overrides, client = same, server: wrap = same, ...link } = {}) {
      const [mine, theirs]: [Duplex, Duplex] = pair({ lingerMs: 1, ...link })
      void server.accept(wrap(theirs), overrides)
      return openClient(client(mine), { hostname: 'client.example.com', ...given })
    },
  }
}

function same(duplex: Duplex): Duplex {
  return duplex
}

/** Cuts what this end reads at one position, counted from its first octet. */
export function cutAt(duplex: Duplex, position: number): Duplex {
  let seen = 0
  let rest: Uint8Array | undefined
  function cut(bytes: Uint8Array | null): Uint8Array | null {
    if (bytes === null) return null
    const at = position - seen
    seen += bytes.length
    if (at <= 0 || at >= bytes.length) return bytes
    rest = bytes.slice(at)
    return bytes.subarray(0, at)
  }
  return wrapped(duplex, {
    read() {
      const held = rest
      rest = undefined
      if (held !== undefined) return held
      const read = duplex.read()
      return read instanceof Promise ? read.then(cut) : cut(read)
    },
  })
}

/** Counts the octets that this end reads. */
export function counted(duplex: Duplex, count: (octets: number) => void): Duplex {
  const counts = (bytes: Uint8Array | null): Uint8Array | null => {
    count(bytes?.length ?? 0)
    return bytes
  }
  return wrapped(duplex, {
    read() {
      const read = duplex.read()
      return read instanceof Promise ? read.then(counts) : counts(read)
    },
  })
}

/** Says how often this end writes after it has read: how many round trips there are. */
export function turns(duplex: Duplex, turn: () => void): Duplex {
  let hasRead = true
  return wrapped(duplex, {
    read() {
      const read = duplex.read()
      const note = (bytes: Uint8Array | null): Uint8Array | null => {
        hasRead = true
        return bytes
      }
      return read instanceof Promise ? read.then(note) : note(read)
    },
    write(bytes) {
      if (hasRead) turn()
      hasRead = false
      return duplex.write(bytes)
    },
  })
}

/** A duplex with some methods of its own. All else is the other's, the getters too. */
export function wrapped(duplex: Duplex, own: Partial<Duplex>): Duplex {
  return new Proxy(duplex, {
    get(target, name) {
      if (Object.hasOwn(own, name)) return own[name as keyof Duplex]
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
