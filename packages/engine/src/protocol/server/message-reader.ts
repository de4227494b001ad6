/**
 * Reads the octets of one message, from DATA or BDAT, and finds its errors. The reader also reads a refused message to its end,
 * so that no part of it is taken for a command. But it does not read without limit.
 */
import type { MessageFailure, ServerEvent } from './event.ts'
import { TOO_LARGE } from '../extensions/size.ts'
import type { Input } from '../bytes/input.ts'
import type { Limits } from '../limits.ts'
import { BARE_LINE_ENDING_IN_MESSAGE, MAIL_LOOP, TEXT_LINE_TOO_LONG } from '../grammar/replies.ts'
import type { Reply } from '../grammar/reply.ts'
import { ReceivedFields } from '../framing/received-fields.ts'
import { type BareLineEndings, TextReader } from '../framing/text.ts'

export type MessageStep =
  /** A 'chunk' of the message, or 'message-failed'. */
  | ServerEvent
  | 'need-data'
  /** The text or this chunk has ended. */
  | 'over'
  /** The client sent more than the server reads only to drop it. */
  | 'past-drain'

const FAILURE_REPLIES: Readonly<Record<MessageFailure, Reply>> = {
  'too-large': TOO_LARGE,
  'bare-line-ending': BARE_LINE_ENDING_IN_MESSAGE,
  'line-too-long': TEXT_LINE_TOO_LONG,
  'mail-loop': MAIL_LOOP,
}

export class MessageReader {
  /** Octets of the message so far, without stuffed dots. */
  octets = 0
  hasFailed = false

  readonly #limits: Limits
  readonly #policy: BareLineEndings
  readonly #received: ReceivedFields = new ReceivedFields()
  #text: TextReader | undefined
  #isTextOver = false
  #chunkOctetsLeft = 0

  constructor(limits: Limits, policy: BareLineEndings) {
    this.#limits = limits
    this.#policy = policy
  }

  /** Expects text up to CRLF . CRLF. */
  beginText(): void {
    this.#text = new TextReader(this.#policy)
  }

  /** Expects a chunk. */
  beginChunk(octets: number): void {
    this.#chunkOctetsLeft = octets
  }

  read(input: Input): MessageStep {
    return this.#text === undefined ? this.#readChunk(input) : this.#readText(input, this.#text)
  }

  #readChunk(input: Input): MessageStep {
    if (!this.hasFailed && this.octets + this.#chunkOctetsLeft > this.#limits.maxMessageBytes) {
      return this.#fail('too-large')
    }
    while (this.#chunkOctetsLeft > 0) {
      const bytes = input.take(this.#chunkOctetsLeft)
      if (bytes === undefined) return 'need-data'
      this.#chunkOctetsLeft -= bytes.length
      this.octets += bytes.length
      if (!this.hasFailed) return this.#isLoop(bytes) ? this.#fail('mail-loop') : { type: 'chunk', bytes }
    }
    return 'over'
  }

  #readText(input: Input, text: TextReader): MessageStep {
    while (!this.#isTextOver) {
      if (input.isEmpty) {
        text.release()
        return 'need-data'
      }
      const status = text.read(input.bytes, input.position)
      input.position = text.position
      if (status === 'piece') this.octets += text.piece.length
      else if (status === 'end') this.#isTextOver = true
      if (this.hasFailed) {
        if (isPastDrain(this.octets, this.#limits)) return 'past-drain'
        continue
      }
      const failure = this.#failureOf(text)
      if (failure !== undefined) return this.#fail(failure)
      if (status !== 'piece') continue
      return this.#isLoop(text.piece) ? this.#fail('mail-loop') : { type: 'chunk', bytes: text.piece }
    }
    return 'over'
  }

  #failureOf(text: TextReader): MessageFailure | undefined {
    if (this.octets > this.#limits.maxMessageBytes) return 'too-large'
    if (text.sawBareLineEnding && this.#policy === 'reject') return 'bare-line-ending'
    return text.longestLine > this.#limits.maxTextLineOctets ? 'line-too-long' : undefined
  }

  #isLoop(bytes: Uint8Array): boolean {
    if (this.#received.isOver) return false
    this.#received.read(bytes)
    return this.#received.count > this.#limits.maxReceivedFields
  }

  #fail(reason: MessageFailure): ServerEvent {
    this.hasFailed = true
    return { type: 'message-failed', reason, reply: FAILURE_REPLIES[reason] }
  }
}

/** Returns whether a message is larger than the server reads only to drop it. */
export function isPastDrain(octets: number, { maxMessageBytes, maxDrainBytes }: Limits): boolean {
  return octets > maxMessageBytes + maxDrainBytes
}
