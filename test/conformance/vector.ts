/**
 * What a vector is, and how it is played: bytes sent in the clear view of a test, replies and effects that must follow.
 *
 * Vectors are plain data. Each is played whole, byte by byte, and cut in two at every point: an answer never depends on
 * how bytes came in packets (RFC 2920 3.2; every framing bug of a server is one of these cuts).
 */
import { expect } from 'vitest'
import { type Client, short } from './client.ts'
import type { Row } from './rows.ts'
import { type Profile, Service, isAskedFor } from './service.ts'

export interface Vector {
  readonly name: string
  /** The decision it holds the server to. */
  readonly row: Row
  readonly profile?: Profile
  /** Lines sent one after another before, each answered with a code under 400. */
  readonly before?: readonly string[]
  /** A string goes out as UTF-8. */
  readonly send: string | Uint8Array
  /** Code and enhanced code of each reply. */
  readonly expect: readonly string[]
  /** Whether the session goes on. Default: it does, and NOOP is answered next. */
  readonly end?: 'closed'
  /** What reaches the hooks meanwhile; unless given, it does not matter. */
  readonly reached?: readonly string[]
  /** The message texts that are kept (Latin-1), in order. */
  readonly kept?: readonly string[]
}

/** Octets as they are: a character an octet. */
export function octets(latin1: string): Uint8Array {
  return Buffer.from(latin1, 'latin1')
}

/** Cuts more than this are sampled: the ones around line ends, dots and NULs stay. */
const MAX_CUTS = 64
/** Connections at the same time. */
const AT_ONCE = 12

/** Every way to send a vector's bytes: by name, the pieces. */
export function deliveries(sent: string | Uint8Array): [name: string, pieces: readonly Uint8Array[]][] {
  const bytes = typeof sent === 'string' ? Buffer.from(sent) : sent
  const ways: [string, readonly Uint8Array[]][] = [['whole', [bytes]]]
  if (bytes.length < 2) return ways
  ways.push(['byte by byte', Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))])
  for (const cut of cuts(bytes)) ways.push([`cut at ${cut}`, [bytes.subarray(0, cut), bytes.subarray(cut)]])
  return ways
}

function cuts(bytes: Uint8Array): number[] {
  const all = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1)
  if (all.length <= MAX_CUTS) return all
  const isTelling = (at: number): boolean => [at - 1, at].some((i) => [0, 10, 13, 46].includes(bytes[i] ?? -1))
  const every = Math.ceil(all.length / 24)
  const chosen = all.filter((at) => isTelling(at) || at % every === 0)
  const thin = Math.ceil(chosen.length / MAX_CUTS)
  return chosen.filter((_, i) => i % thin === 0)
}

/** Servers by profile, so that vectors of one kind share one. */
export class Services {
  readonly #services = new Map<string, Promise<Service>>()

  for(profile: Profile = {}): Promise<Service> {
    const key = JSON.stringify(profile)
    let service = this.#services.get(key)
    if (service === undefined) {
      service = Service.start(profile)
      this.#services.set(key, service)
    }
    return service
  }

  async close(): Promise<void> {
    await Promise.all([...this.#services.values()].map(async (service) => (await service).close()))
  }
}

/** Plays a vector in every delivery. */
export async function play(vector: Vector, services: Services): Promise<void> {
  const service = await services.for(vector.profile)
  const ways = deliveries(vector.send)
  // Whole first: where that fails, the rest has nothing to add.
  for (let i = 0; i < ways.length; i = i === 0 ? 1 : i + AT_ONCE) {
    const batch = ways.slice(i, i === 0 ? 1 : i + AT_ONCE)
    await Promise.all(batch.map(([way, pieces]) => playOnce(vector, service, way, pieces)))
  }
}

async function playOnce(vector: Vector, service: Service, way: string, pieces: readonly Uint8Array[]): Promise<void> {
  const client = await service.at(vector.before ?? [])
  const record = service.record(client)
  const eventsBefore = record.events.length
  try {
    await client.sendPieces(pieces)
    expect((await repliesTo(vector, client)).join(', '), way).toBe(vector.expect.join(', '))
    if (vector.reached !== undefined) {
      const reached = record.events.slice(eventsBefore).filter((event) => event !== 'close')
      expect(reached, way).toEqual(vector.reached)
    }
    if (vector.kept !== undefined) {
      expect(
        record.kept.map(({ text }) => text),
        way,
      ).toEqual(vector.kept)
    }
    expect(
      record.errors.filter((error) => !isAskedFor(error)),
      way,
    ).toEqual([])
  } finally {
    client.close()
  }
}

/** The replies, up to where the server closes or has answered a NOOP sent behind them. */
async function repliesTo(vector: Vector, client: Client): Promise<string[]> {
  if (vector.end === 'closed') return (await client.repliesToEnd()).map(short)
  const replies: string[] = []
  for (let i = 0; i < vector.expect.length; i++) replies.push(short(await client.reply()))
  client.send('NOOP last\r\n')
  const last = await client.reply()
  if (!last.raw.startsWith('250 2.0.0 OK\r\n') || client.unread !== '')
    replies.push(`and then ${last.raw}${client.unread}`)
  return replies
}
