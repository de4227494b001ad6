import type { Envelope } from '../../protocol/grammar/envelope.ts'
import type { Reply } from '../../protocol/grammar/reply.ts'
import { type Message, MessageError, type MessageErrorReason } from './message.ts'

/** The connection that a message's bytes come from. */
export interface MessageSource {
  /**
   * Returns the next bytes, or null at the end. If no bytes are there yet, returns a promise of the result of `goOn`,
   * which is called when bytes have come. `goOn` pulls again.
   * @throws MessageError
   */
  pull<T>(message: IncomingMessage, goOn: () => T | Promise<T>): Uint8Array | null | Promise<T>
}

/** Bytes of a message, or null at its end. */
export type Pulled = Uint8Array | null | Promise<Uint8Array | null>

/** A {@link Message} that is pulled from a connection. */
export class IncomingMessage implements Message {
  readonly id: string
  readonly envelope: Envelope
  readonly receivedAt: Date
  size = 0
  /** Set when the message will never be whole. Every read throws it from then on. */
  error: MessageError | undefined
  /** Set when its last byte was pulled. The message then waits for its answer. */
  isWhole = false
  /** Set when no more of it will come, whole or not. */
  isOver = false

  readonly #source: MessageSource
  readonly #makeTrace: () => Uint8Array
  #trace: Uint8Array | undefined
  #pulling: Promise<unknown> | undefined
  #isDetached = false

  /** @param makeTrace Called at most once, and only if somebody reads the trace header. */
  constructor(source: MessageSource, id: string, envelope: Envelope, receivedAt: Date, makeTrace: () => Uint8Array) {
    this.#source = source
    this.#makeTrace = makeTrace
    this.id = id
    this.envelope = envelope
    this.receivedAt = receivedAt
  }

  get trace(): Uint8Array {
    this.#trace ??= this.#makeTrace()
    return this.#trace
  }

  read(): Pulled {
    if (this.#isDetached) throw new MessageError('aborted')
    if (this.error !== undefined) throw this.error
    if (this.isWhole) return null
    if (this.#pulling !== undefined) throw new Error('read: the last read is not done')
    const bytes = this.#source.pull(this, this.#pullOn)
    if (bytes instanceof Promise) this.#pulling = bytes
    else if (bytes !== null) this.size += bytes.length
    return bytes
  }

  readonly #pullOn = (): Pulled => {
    this.#pulling = undefined
    const bytes = this.#source.pull(this, () => undefined)
    if (bytes instanceof Promise) return (this.#pulling = this.#pullLong(bytes))
    if (bytes !== null) this.size += bytes.length
    return bytes
  }

  /**
   * What came was no byte of the message: a command between two chunks, a part of one, or a CR. From here on the waits
   * follow one another. If each wait were inside the one before, a client could nest as many as it likes.
   */
  async #pullLong(wait: Promise<undefined>): Promise<Uint8Array | null> {
    try {
      for (let waits = wait; ;) {
        await waits
        const bytes = this.#source.pull(this, () => undefined)
        if (bytes instanceof Promise) {
          waits = bytes
          continue
        }
        if (bytes !== null) this.size += bytes.length
        return bytes
      }
    } finally {
      this.#pulling = undefined
    }
  }

  /** Marks the message as one that will never be whole. The first reason counts. */
  fail(reason: MessageErrorReason, reply?: Reply): MessageError {
    this.error ??= new MessageError(reason, reply)
    return this.error
  }

  /** Takes the message away from its reader, which has answered. Returns what the reader still waits for. */
  detach(): Promise<unknown> | undefined {
    this.#isDetached = true
    return this.#pulling?.catch(() => undefined)
  }

  get body(): AsyncIterable<Uint8Array> {
    return this.#iterate()
  }

  stream(): ReadableStream<Uint8Array> {
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
      const bytes = await this.read()
      if (bytes === null) controller.close()
      else controller.enqueue(bytes.slice())
    }
    // Reads no bytes ahead of the stream's reader.
    return new ReadableStream({ pull }, { highWaterMark: 0 })
  }

  async bytes(): Promise<Uint8Array> {
    const pieces: Uint8Array[] = []
    for await (const bytes of this.body) pieces.push(bytes.slice())
    const whole = new Uint8Array(this.size)
    let offset = 0
    for (const piece of pieces) {
      whole.set(piece, offset)
      offset += piece.length
    }
    return whole
  }

  async *#iterate(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const bytes = await this.read()
      if (bytes === null) return
      yield bytes
    }
  }
}
