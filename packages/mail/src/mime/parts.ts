/** The parts of a message, one after another, while it arrives. */
import { decodeText } from '../text/charset.ts'
import type { DefectList } from '../defect.ts'
import { type MimeLimits, resolveMimeLimits } from './limits.ts'
import type { PartHead } from './part.ts'
import { type MimeEvent, MimeReader } from './reader.ts'
import { type MessageSource, type Source, sourceOf } from './source.ts'

export interface PartsOptions {
  readonly limits?: Partial<MimeLimits>
  /** Opens messages inside the message (message/rfc822). False: each is one part, and its body is the message. Default: true. */
  readonly opensMessages?: boolean
}

/** A part. Its body can be read once, until the next part is asked for. */
export interface Part extends PartHead {
  /**
   * The body, decoded from its transfer encoding. Empty for a multipart, and for a message that is opened. A piece is valid until the next one is
   * asked for.
   */
  readonly body: AsyncIterable<Uint8Array>
  /** Returns the body as a stream. */
  stream(): ReadableStream<Uint8Array>
  /** Reads the body. @throws MimeError 'too-long' if it has more octets than `maxOctets`, which are 64 MiB by default */
  bytes(maxOctets?: number): Promise<Uint8Array>
  /** Reads the body as text in its charset, or in UTF-8 or Windows-1252 if that is unknown. @throws as `bytes` */
  text(maxOctets?: number): Promise<string>
}

/** A mistake of the caller: it read a body twice or too late, or the body is too long for it. */
export class MimeError extends Error {
  override readonly name = 'MimeError'
  readonly code: 'body-gone' | 'too-long'

  constructor(code: 'body-gone' | 'too-long', message: string) {
    super(message)
    this.code = code
  }
}

const MAX_BODY_OCTETS = 64 * 1_048_576
const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

/**
 * Reads a message part by part: first the message itself, then what is in it, in the order in which it is written. A body that the caller does not
 * read is skipped. No form of a message makes it throw: `defects` of a part says what is malformed.
 * @throws RangeError for a bad limit; what the source throws
 */
export function parts(message: MessageSource, options: PartsOptions = {}): AsyncIterableIterator<Part, undefined> {
  return new PartsIterator(message, options)
}

class PartsIterator implements AsyncIterableIterator<Part, undefined> {
  readonly #reader: MimeReader
  readonly #source: Source
  /** A chunk is on its way. */
  #feeding: Promise<void> | undefined
  /** The event that ended the body of the part. */
  #next: MimeEvent | undefined
  #body: Body | undefined

  constructor(message: MessageSource, { limits, opensMessages = true }: PartsOptions) {
    this.#reader = new MimeReader({ limits: resolveMimeLimits(limits), opensMessages })
    this.#source = sourceOf(message)
  }

  async next(): Promise<IteratorResult<Part, undefined>> {
    this.#body?.close()
    for (;;) {
      const event = this.#event()
      if (event === undefined) await this.#feed()
      else if (event.kind === 'end') return this.#end(event)
      else if (event.kind === 'part') {
        this.#body = new Body(event.part.section, () => this.#octets())
        return { done: false, value: partOf(event.part, this.#body, event.defects) }
      }
    }
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#body?.close()
    this.#next = { kind: 'end' }
    await this.#source.cancel()
    return DONE
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #end(event: MimeEvent): IteratorReturnResult<undefined> {
    this.#next = event
    return DONE
  }

  /** Returns the next octets of the body; undefined at its end. */
  async #octets(): Promise<Uint8Array | undefined> {
    for (;;) {
      const event = this.#event()
      if (event === undefined) {
        await this.#feed()
      } else if (event.kind === 'body') {
        return event.octets
      } else {
        this.#next = event
        return undefined
      }
    }
  }

  #event(): MimeEvent | undefined {
    const event = this.#next ?? this.#reader.next()
    this.#next = undefined
    return event
  }

  /** Gives the reader a chunk. Returns a promise only if the source does. */
  #feed(): void | Promise<void> {
    if (this.#feeding !== undefined) return this.#feeding
    const chunk = this.#source.next()
    if (!(chunk instanceof Promise)) return this.#give(chunk)
    this.#feeding = chunk.then(
      (read) => {
        this.#feeding = undefined
        this.#give(read)
      },
      (error: unknown) => {
        this.#feeding = undefined
        throw error
      },
    )
    return this.#feeding
  }

  #give({ done, value }: IteratorResult<Uint8Array, unknown>): void {
    if (done === true) this.#reader.end()
    else this.#reader.receive(value)
  }
}

/** The body of a part, while the iterator stands at it. */
class Body implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #section: string
  readonly #read: () => Promise<Uint8Array | undefined>
  #isOpen = true
  #isTaken = false

  constructor(section: string, read: () => Promise<Uint8Array | undefined>) {
    this.#section = section
    this.#read = read
  }

  close(): void {
    this.#isOpen = false
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (!this.#isOpen) throw new MimeError('body-gone', `part ${this.#section}: the next part was asked for already`)
    const octets = await this.#read()
    return octets === undefined ? DONE : { done: false, value: octets }
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    return Promise.resolve(DONE)
  }

  [Symbol.asyncIterator](): this {
    if (this.#isTaken) throw new MimeError('body-gone', `part ${this.#section}: its body was read already`)
    this.#isTaken = true
    return this
  }
}

function partOf(head: PartHead, body: Body, defects: DefectList): Part {
  const bytes = async (maxOctets = MAX_BODY_OCTETS): Promise<Uint8Array> => joined(body, head.section, maxOctets)
  return {
    ...head,
    body,
    bytes,
    stream: () => streamOf(body),
    async text(maxOctets) {
      const charset = head.parameters.get('charset')
      const { text, isGuessed, isDamaged } = decodeText(await bytes(maxOctets), charset)
      if (isGuessed) defects.add('charset-unknown')
      if (isDamaged) defects.add('charset-invalid')
      return text
    },
  }
}

/** Copies the pieces, because many sources use the memory of a piece again for the next one. */
async function joined(body: Body, section: string, maxOctets: number): Promise<Uint8Array> {
  let whole: Uint8Array = new Uint8Array(0)
  let used = 0
  for await (const piece of body) {
    const length = used + piece.length
    if (length > maxOctets)
      throw new MimeError('too-long', `part ${section}: its body has more than ${maxOctets} octets`)
    if (used === 0) {
      whole = piece.slice()
    } else {
      if (length > whole.length) whole = grown(whole, Math.min(maxOctets, Math.max(length, whole.length * 2)))
      whole.set(piece, used)
    }
    used = length
  }
  return whole.subarray(0, used)
}

function grown(octets: Uint8Array, length: number): Uint8Array {
  const larger = new Uint8Array(length)
  larger.set(octets)
  return larger
}

/** Copies the pieces, because readers of streams keep them. */
function streamOf(body: Body): ReadableStream<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await iterator.next()
        if (done === true) controller.close()
        else controller.enqueue(value.slice())
      },
    },
    { highWaterMark: 0 },
  )
}
