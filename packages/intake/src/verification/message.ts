/** A message whose verdicts are known. It is read like one that arrives. */
import type { Envelope, Message } from '@postern/engine'
import { resultsText, type Verdicts } from '@postern/mail/trust'
import type { MailFacts } from '@postern/storage'
import type { HeldBytes } from './held.ts'

/** What the record says: the verdicts, and what was done because of them. */
export interface MailVerdicts extends Verdicts {
  /** How many fields of Authentication-Results claimed to be ours. They were removed. */
  readonly removedClaims?: number
  /** The message is in quarantine. */
  readonly isQuarantined?: true
}

/** What was found out about a message when it came, as a seal of ARC says it. */
export interface ArrivalVerdict {
  /** Whether the seals of other servers were valid; `none` if there were none (RFC 8617 4.4). */
  readonly chain: 'none' | 'pass' | 'fail'
  /** What Authentication-Results has behind the name of the server, on one line of ASCII. */
  readonly results: string
}

export interface VerifiedMessageOptions {
  readonly message: Message
  readonly held: HeldBytes
  /** The bytes in memory without the fields that were removed. */
  readonly first: Uint8Array
  readonly trace: Uint8Array
  readonly verdicts: MailVerdicts
}

export class VerifiedMessage implements Message {
  readonly id: string
  readonly envelope: Envelope
  readonly receivedAt: Date
  /** With our Authentication-Results on top. */
  readonly trace: Uint8Array
  readonly verdicts: MailVerdicts
  readonly #options: VerifiedMessageOptions
  readonly #others: AsyncGenerator<Uint8Array, void, undefined>
  #first: Uint8Array | undefined
  #size = 0

  constructor(options: VerifiedMessageOptions) {
    const { message, held, first, trace, verdicts } = options
    this.id = message.id
    this.envelope = message.envelope
    this.receivedAt = message.receivedAt
    this.trace = trace
    this.verdicts = verdicts
    this.#options = options
    this.#others = held.others()
    this.#first = first.length === 0 ? undefined : first
  }

  /** Undefined if DNS did not answer for the seals: a new one would have to say that they fail. */
  get arrival(): ArrivalVerdict | undefined {
    const chain = this.verdicts.arc?.result ?? 'none'
    return chain === 'temperror' ? undefined : { chain, results: resultsText(this.verdicts) }
  }

  get size(): number {
    return this.#size
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    const first = this.#first
    if (first === undefined) return this.#next()
    this.#first = undefined
    this.#size += first.length
    return first
  }

  get body(): AsyncIterable<Uint8Array> {
    const next = (): Uint8Array | null | Promise<Uint8Array | null> => this.read()
    return {
      async *[Symbol.asyncIterator]() {
        for (let chunk = await next(); chunk !== null; chunk = await next()) yield chunk
      },
    }
  }

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const chunk = await this.read()
        if (chunk === null) controller.close()
        else controller.enqueue(chunk.slice())
      },
    })
  }

  async bytes(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    for await (const chunk of this.body) chunks.push(chunk.slice())
    return Uint8Array.from(Buffer.concat(chunks))
  }

  facts(): MailFacts {
    return { verdicts: { ...this.verdicts } }
  }

  async #next(): Promise<Uint8Array | null> {
    const { value, done } = await this.#others.next()
    // After its end, a message whose client has been told that it failed throws.
    if (done === true) return this.#options.message.read()
    this.#size += value.length
    return value
  }
}
