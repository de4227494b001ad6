/**
 * Defines vectors and plays them. A vector has the bytes that the client sends, and the replies and effects that must follow.
 *
 * Vectors are plain data. Each is played whole, byte by byte, and cut in two at every point, because a reply must not depend on
 * how the bytes come in packets (RFC 2920 3.2). Framing bugs of a server show at one of these cuts.
 */
import { Buffer } from 'node:buffer'
import { isAskedFor, type Profile, type Record } from './recorder.ts'
import type { Client } from '../kit/client/client.ts'
import { type ClientReply, short } from '../kit/client/reply.ts'
import type { Row } from './rows.ts'

/** Makes the clients that play vectors. */
export interface Stage {
  /** Returns a new client of a server with this profile. The client has sent these lines, each with a reply under 400. */
  seat(profile: Profile, before: readonly string[]): Promise<{ readonly client: Client; readonly record: Record }>
}

export interface Vector {
  readonly name: string
  /** The decision that the vector checks. */
  readonly row: Row
  readonly profile?: Profile
  /** Lines that the client sends first, one after another, each with a reply under 400. */
  readonly before?: readonly string[]
  /** A string goes out as UTF-8. */
  readonly send: string | Uint8Array
  /** Code and enhanced code of each reply. */
  readonly expect: readonly string[]
  /** The first line of each reply, without the reply code. Not checked by default. */
  readonly says?: readonly string[]
  /** 'closed' if the session ends. Default: it goes on, and the server answers NOOP next. */
  readonly end?: 'closed'
  /** The hook calls meanwhile. Not checked by default. */
  readonly reached?: readonly string[]
  /** The texts of the kept messages (Latin-1), in order. */
  readonly kept?: readonly string[]
}

/** Returns octets from a text with one character for each octet. */
export function octets(latin1: string): Uint8Array {
  return Buffer.from(latin1, 'latin1')
}

/** If there are more cuts than this, only a sample is played, with all cuts around line ends, dots and NULs. */
const MAX_CUTS = 64
/** Connections at the same time. */
const AT_ONCE = 12

/** One way to send the bytes of a vector. */
export type Delivery = [name: string, pieces: readonly Uint8Array[]]

/** Returns every way to send the bytes of a vector: whole, byte by byte, and then the cuts. */
export function deliveries(sent: string | Uint8Array): Delivery[] {
  const bytes = typeof sent === 'string' ? Buffer.from(sent) : sent
  const ways: Delivery[] = [['whole', [bytes]]]
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

/**
 * Plays a vector in every delivery. Rejects if a reply or an effect differs.
 *
 * @param choose Leaves deliveries out. The first one must stay.
 */
export async function play(
  vector: Vector,
  stage: Stage,
  choose: (ways: readonly Delivery[]) => readonly Delivery[] = (ways) => ways,
): Promise<void> {
  const ways = choose(deliveries(vector.send))
  // Plays it whole first. If that fails, the other deliveries tell nothing new.
  for (let i = 0; i < ways.length; i = i === 0 ? 1 : i + AT_ONCE) {
    const batch = ways.slice(i, i === 0 ? 1 : i + AT_ONCE)
    await Promise.all(batch.map(([way, pieces]) => playOnce(vector, stage, way, pieces)))
  }
}

async function playOnce(vector: Vector, stage: Stage, way: string, pieces: readonly Uint8Array[]): Promise<void> {
  const { client, record } = await stage.seat(vector.profile ?? {}, vector.before ?? [])
  const eventsBefore = record.events.length
  try {
    await client.sendPieces(pieces)
    const { replies, more } = await repliesTo(vector, client)
    same(`${way}: replies`, [...replies.map(short), ...more], vector.expect)
    if (vector.says !== undefined) {
      const said = replies.map(({ lines: [first = ''] }) => first)
      same(`${way}: texts`, said, vector.says)
    }
    if (vector.reached !== undefined) {
      const reached = record.events.slice(eventsBefore).filter((event) => event !== 'close')
      same(`${way}: reached the hooks`, reached, vector.reached)
    }
    if (vector.kept !== undefined) {
      const kept = record.kept.map(({ text }) => text)
      same(`${way}: kept`, kept, vector.kept)
    }
    const errors = record.errors.filter((error) => !isAskedFor(error)).map(String)
    same(`${way}: errors`, errors, [])
  } finally {
    client.close()
  }
}

function same(what: string, actual: readonly string[], expected: readonly string[]): void {
  const [is, shouldBe] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (is !== shouldBe) throw new Error(`${what}: ${is}, not ${shouldBe}`)
}

/** Returns the replies until the server closes or answers a NOOP that is sent after the vector, and what else came. */
async function repliesTo(
  vector: Vector,
  client: Client,
): Promise<{ readonly replies: readonly ClientReply[]; readonly more: readonly string[] }> {
  if (vector.end === 'closed') return { replies: await client.repliesToEnd(), more: [] }
  const replies = await client.replies(vector.expect.length)
  await client.sendPieces(['NOOP last\r\n'])
  const last = await client.reply()
  const isLast = last.raw.startsWith('250 2.0.0 OK\r\n') && client.unread === ''
  return { replies, more: isLast ? [] : [`and then ${last.raw}${client.unread}`] }
}
