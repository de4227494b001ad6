/**
 * Many sessions that send numbered messages, and record each message and its reply.
 *
 * A message gets a reply, or the connection breaks before its reply. A sender knows no more than that, and the tests hold the
 * store to it.
 */
import { expect } from 'vitest'
import { Random } from '../kit/random.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { sendByBdat, sendByData } from '../corpus/send.ts'
import { idIn, type Kept, sha256 } from '../peers/store.ts'

/** The facts about one sent message. */
export interface Sent {
  readonly number: number
  /** The requested size. The message is about as long. */
  readonly size: number
  readonly sha256: string
  readonly byteLength: number
  /** Set once the message got 250. */
  id?: string
  /** All other replies, in the order of the tries. */
  readonly refusals: string[]
}

/** Most messages are small, so that many are in progress. A few are large, so that a kill cuts some in the middle. */
const SMALL_BYTES = 4_000
const LARGE_BYTES = 1_500_000
const LARGE_EVERY = 12

export class Load {
  readonly sent: Sent[] = []
  /** The numbers of the messages that were found in the store and compared, by key. */
  readonly looked: Map<string, number> = new Map()
  /** Replies other than 250: there should be none. */
  readonly unexpected: string[] = []
  readonly #random: Random
  readonly #others: readonly string[]
  #sessions: Promise<void>[] = []
  #isStopping = false

  /** @param others Recipients of every message, after its own first one. */
  constructor(seed: number, others: readonly string[] = []) {
    this.#random = new Random(seed)
    this.#others = others
  }

  get answered(): readonly Sent[] {
    return this.sent.filter(({ id }) => id !== undefined)
  }

  /** Opens more sessions. Each sends until it is stopped or its connection breaks. */
  start(port: number, sessions: number): void {
    this.#isStopping = false
    this.#sessions.push(...Array.from({ length: sessions }, () => this.#session(port)))
  }

  /** Sends messages of these sizes at the same time, each in its own session. @returns the facts about them. */
  async send(port: number, sizes: readonly number[]): Promise<readonly Sent[]> {
    const batch = sizes.map((size) => this.#note(size).sent)
    await this.sendAgain(port, batch)
    return batch
  }

  /** Sends messages again, as a client does after a temporary refusal. */
  async sendAgain(port: number, batch: readonly Sent[]): Promise<void> {
    await Promise.all(
      batch.map(async (sent) => {
        using client = await SocketClient.ready(port)
        // Waits as long as real senders do (RFC 5321 4.5.3.2.6).
        client.waitMs = 600_000
        await this.#deliver(client, sent, bytesOf(sent.number, sent.size))
        await client.quit()
      }),
    )
  }

  /** Waits until all sessions have ended. */
  async over(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#sessions)
    this.#sessions = []
  }

  async #session(port: number): Promise<void> {
    try {
      using client = await SocketClient.ready(port)
      while (!this.#isStopping) await this.#send(client)
      await client.quit()
    } catch (error) {
      // The server was killed. An unexpected reply still fails the test.
      if (error instanceof Error && error.message.startsWith('got ')) this.unexpected.push(error.message)
    }
  }

  async #send(client: SocketClient): Promise<void> {
    const size = this.#random.between(1, this.#random.below(LARGE_EVERY) === 0 ? LARGE_BYTES : SMALL_BYTES)
    const { sent, bytes } = this.#note(size)
    await this.#deliver(client, sent, bytes)
    this.unexpected.push(...sent.refusals)
  }

  #note(size: number): { sent: Sent; bytes: Buffer } {
    const number = this.sent.length
    const bytes = bytesOf(number, size)
    const sent: Sent = { number, size, sha256: sha256(bytes), byteLength: bytes.length, refusals: [] }
    this.sent.push(sent)
    return { sent, bytes }
  }

  async #deliver(client: SocketClient, sent: Sent, bytes: Buffer): Promise<void> {
    const { number } = sent
    const transaction = { bytes, to: [`${number}@postern.example`, ...this.#others] }
    const reply =
      number % 2 === 0
        ? await sendByData(client, transaction)
        : await sendByBdat(client, transaction, { chunks: 50_000, emptyLast: number % 3 === 0 })
    if (reply.code === 250) sent.id = idIn(reply.text)
    else sent.refusals.push(reply.text)
  }
}

/** Returns the same bytes for the same number and size. */
function bytesOf(number: number, size: number): Buffer {
  const text = `X-Number: ${number}\r\n\r\n.${number} `.padEnd(size, `${number}.\r\n.`).replace(/\r$/, '')
  return Buffer.from(`${text}\r\n`)
}

/** Returns the number of a kept message. */
export function numberOf({ record, bytes }: Kept): number {
  const number = Number(/^X-Number: (\d+)\r\n/.exec(bytes.toString('latin1', 0, 40))?.[1])
  if (`${number}@postern.example` !== record.forwardPaths[0]?.address)
    throw new Error(`${record.id}: another's envelope`)
  return number
}

/**
 * Compares the kept messages with the sent and answered ones. Each must be there once and whole, and deleted ones must be gone.
 * Returns the ids by number.
 *
 * @param kept Ids of the listed messages
 * @param deleted Ids of the deleted messages
 */
export async function expectKept(
  { answered, sent }: Load,
  kept: readonly string[],
  read: (id: string) => Promise<Kept>,
  { deleted, seed }: { readonly deleted: ReadonlySet<string>; readonly seed: number },
): Promise<Map<number, string>> {
  const numbers = new Map<number, string>()
  for (const id of kept) {
    const message = await read(id)
    const number = numberOf(message)
    expect(numbers.has(number), `seed ${seed}, message ${number} is there twice`).toBe(false)
    expect(sha256(message.bytes), `seed ${seed}, message ${number}`).toBe(sent[number]?.sha256)
    numbers.set(number, id)
  }
  for (const { number, id } of answered) {
    expect(numbers.get(number), `seed ${seed}, message ${number}`).toBe(deleted.has(id as string) ? undefined : id)
  }
  return numbers
}
