/** Sends the bytes of a message: as text that a dot ends (RFC 5321 4.1.1.4), or in chunks (RFC 3030). */
import type { Content } from '../protocol/client/content.ts'
import { replyText, type ServerReply } from '../protocol/client/server-reply.ts'
import { TextWriter } from '../protocol/client/text-writer.ts'
import type { Channel } from './channel.ts'
import { messageOf } from './error.ts'
import type { Chunks } from './message.ts'

/** Octets of a write, and of a chunk whose successor is not known. */
export const PIECE_OCTETS = 65_536
/** Chunks of a stream that may be on the way without a reply, if the server offers PIPELINING. */
const MAX_UNANSWERED_CHUNKS = 2
/** Room for `BDAT 65536 LAST` and CRLF in front of a chunk. */
const COMMAND_OCTETS = 24

const encoder = new TextEncoder()
const EMPTY: Uint8Array = new Uint8Array(0)
const END_OF_TEXT = '.\r\n'

export interface DeliveryDeps {
  readonly channel: Channel
  /** The message: known as a whole, or a stream. */
  readonly content: Content | Chunks
  /** The octets of a stream are sent as they are. */
  readonly isBinary: boolean
  /** Gets the octets of the message that were sent so far. */
  progress(octets: number): void
  /** Says that the rest of the message is about to be sent. */
  last(): void
}

/** Sends the message and its final dot. Stops if the server interrupts. */
export async function sendText(deps: DeliveryDeps): Promise<void> {
  const { channel } = deps
  const writer = new TextWriter(true)
  let octets = 0
  const isWhole = 'pieces' in deps.content
  await forEachPiece(deps, async (piece) => {
    const text = writer.write(piece)
    // The owner of a stream may use the memory of a chunk again, as soon as the next one is asked for.
    await taken(channel, !isWhole && text.buffer === piece.buffer ? text.slice() : text)
    octets += piece.length
    deps.progress(octets)
  })
  if (channel.isInterrupted) return
  deps.last()
  await channel.write(joined(writer.end(), encoder.encode(END_OF_TEXT)))
}

/** Sends a message that is known as a whole in one chunk. Stops if the server interrupts. */
export async function sendChunk(deps: DeliveryDeps, { facts }: Content): Promise<void> {
  const { channel } = deps
  void channel.command(`BDAT ${facts.octets} LAST`)
  let octets = 0
  await forEachPiece(deps, async (piece) => {
    octets += piece.length
    if (octets === facts.octets) deps.last()
    await taken(channel, piece)
    deps.progress(octets)
  })
  if (facts.octets === 0) deps.last()
}

/** Writes, and waits until the server has taken the bytes or has said something. */
async function taken(channel: Channel, bytes: Uint8Array): Promise<void> {
  const written = channel.write(bytes)
  if (written !== undefined) await channel.unlessInterrupted(written)
}

/**
 * Sends a stream in chunks, and reads the reply to each but the last.
 * @returns the reply that refuses a chunk, if there is one
 */
export async function sendChunks(deps: DeliveryDeps, isPipelining: boolean): Promise<ServerReply | undefined> {
  const { channel } = deps
  const { dataMs } = channel.timeouts
  const writer = deps.isBinary ? undefined : new TextWriter(false)
  const most = isPipelining ? MAX_UNANSWERED_CHUNKS : 1
  let buffer = new Uint8Array(COMMAND_OCTETS + PIECE_OCTETS)
  let used = 0
  let unanswered = 0
  let octets = 0
  let refusal: ServerReply | undefined

  async function answered(atMost: number): Promise<void> {
    while (unanswered > atMost && channel.isOpen) {
      const reply = await channel.reply('data', dataMs)
      unanswered--
      if (reply.code >= 300 && reply.code < 400) throw wrongCode(channel, reply)
      if (reply.code >= 400) refusal ??= reply
    }
  }

  async function flush(isLast: boolean): Promise<void> {
    const line = `BDAT ${used}${isLast ? ' LAST' : ''}`
    channel.show('client', line)
    const command = encoder.encode(`${line}\r\n`)
    const start = COMMAND_OCTETS - command.length
    buffer.set(command, start)
    if (isLast) deps.last()
    const written = channel.write(buffer.subarray(start, COMMAND_OCTETS + used))
    octets += used
    deps.progress(octets)
    buffer = isLast ? buffer : new Uint8Array(COMMAND_OCTETS + PIECE_OCTETS)
    used = 0
    await written
  }

  async function add(text: Uint8Array): Promise<void> {
    for (let from = 0; from < text.length && refusal === undefined && channel.isOpen;) {
      if (used === PIECE_OCTETS) {
        await answered(most - 1)
        if (refusal !== undefined) return
        await flush(false)
        unanswered++
      }
      const part = text.subarray(from, from + PIECE_OCTETS - used)
      buffer.set(part, COMMAND_OCTETS + used)
      used += part.length
      from += part.length
    }
  }

  async function isStopped(): Promise<boolean> {
    while (channel.isInterrupted && unanswered > 0 && channel.isOpen) await answered(unanswered - 1)
    return refusal !== undefined || channel.isInterrupted || !channel.isOpen
  }

  await forEachPiece(deps, (piece) => add(writer === undefined ? piece : writer.write(piece)), isStopped)
  if (!(await isStopped())) await add(writer?.end() ?? EMPTY)
  await answered(0)
  if (!(await isStopped())) await flush(true)
  return refusal
}

/** Calls `send` for each piece, each of at most {@link PIECE_OCTETS}. Asks whether to stop when the server has said something. */
async function forEachPiece(
  { channel, content }: DeliveryDeps,
  send: (piece: Uint8Array) => Promise<void>,
  isStopped: () => boolean | Promise<boolean> = () => channel.isInterrupted,
): Promise<void> {
  async function sendAll(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length; from += PIECE_OCTETS) {
      if (channel.isInterrupted && (await isStopped())) return
      await send(bytes.length <= PIECE_OCTETS ? bytes : bytes.subarray(from, from + PIECE_OCTETS))
    }
  }
  // The client sees at once a reply that comes in the middle of a message.
  void channel.watch()
  if ('pieces' in content) {
    for (const piece of content.pieces) await sendAll(piece)
    return
  }
  try {
    for (;;) {
      const next = await pull(channel, content, isStopped)
      if (next === undefined || next.done === true) return
      await sendAll(next.value)
    }
  } finally {
    content.close()
  }
}

/** Returns the next chunk; undefined if the client is to stop. */
async function pull(
  channel: Channel,
  chunks: Chunks,
  isStopped: () => boolean | Promise<boolean>,
): Promise<IteratorResult<Uint8Array, unknown> | undefined> {
  let next: ReturnType<Chunks['next']>
  let result: IteratorResult<Uint8Array, unknown> | undefined
  try {
    next = chunks.next()
    if (!(next instanceof Promise)) result = next
    else {
      do result = await channel.unlessInterrupted(next)
      while (result === undefined && !(await isStopped()))
    }
    if (result === undefined || result.done === true || result.value instanceof Uint8Array) return result
    throw new TypeError('it gave something else than a Uint8Array')
  } catch (error) {
    throw channel.fail('aborted', `the message could not be read: ${messageOf(error)}`, error)
  }
}

function wrongCode(channel: Channel, reply: ServerReply): Error {
  return channel.fail('protocol', `the server answered BDAT with a wrong code: ${replyText(reply)}`)
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  if (one.length === 0) return other
  const bytes = new Uint8Array(one.length + other.length)
  bytes.set(one)
  bytes.set(other, one.length)
  return bytes
}
