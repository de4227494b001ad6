/**
 * Receives one message, from DATA or the first BDAT to its answer, and handles the events within it. The reads of the
 * `data` hook take the events from the protocol. So bytes move only if the hook wants them, and nothing is queued.
 */
import * as replies from '../protocol/grammar/replies.ts'
import { type Reply, replyAsIs } from '../protocol/grammar/reply.ts'
import type { ServerEvent } from '../protocol/server/event.ts'
import type { Dialogue } from './dialogue.ts'
import type { DataVerdict } from './handlers.ts'
import { IncomingMessage, type MessageSource } from './session/incoming.ts'
import { MessageError } from './session/message.ts'
import { receivedField } from './session/trace.ts'
import { checkedEach, decisiveOf, isRefusal, worstOf } from './verdict.ts'

/** Handles an event between two chunks. */
export type Handle = (dialogue: Dialogue, event: ServerEvent) => void | Promise<void>

/** Receives the message of the protocol's event, and answers it. */
export async function receiveMessage(dialogue: Dialogue, handle: Handle): Promise<void> {
  const { context, protocol, session, waits, wire } = dialogue
  const { options } = context
  const { envelope } = protocol
  if (options.data === undefined || envelope === undefined) {
    return dialogue.answer(undefined, replies.NOT_ACCEPTING_MESSAGES)
  }
  const receivedAt = new Date()
  const id = context.makeId(receivedAt.getTime())
  const transfer = new Transfer(dialogue, handle)
  const message = new IncomingMessage(transfer, id, envelope, receivedAt, () =>
    receivedField(session, envelope, options.hostname, id, receivedAt),
  )
  dialogue.message = message
  waits.beginMessage()
  protocol.begin()
  // The client may wait for 354, while the hook waits for something other than the client.
  const flushed = protocol.unreadOctets === 0 ? wire.flush() : undefined
  if (flushed !== undefined) await flushed

  const { forwardPaths } = envelope
  const ask = (): DataVerdict | Promise<DataVerdict> => options.data?.(message, session)
  const asked = dialogue.hooks.askFor('data', ask, checkedEach(forwardPaths.length))
  const answer = (asked instanceof Promise ? await asked : asked) ?? replyAsIs(250, '2.0.0', `OK ${id}`)
  const each = protocol.isLmtp && isList(answer) ? answer : undefined
  const verdict = isList(answer) ? (protocol.isLmtp ? decisiveOf(answer) : worstOf(answer)) : answer
  if (isRefusal(verdict)) transfer.refusal = verdict
  const lastRead = message.detach()
  if (lastRead !== undefined) await lastRead
  if (!message.isOver) await transfer.readAway(message)
  dialogue.message = undefined
  if (!message.isWhole || wire.isOver) return
  const final = message.error?.reply ?? verdict
  if (!isRefusal(final)) session.messagesAccepted++
  const answered =
    each !== undefined && final === verdict
      ? dialogue.answerEach(each, verdict, forwardPaths)
      : dialogue.answer(final, final, message.error === undefined)
  if (answered !== undefined) await answered
}

function isList(answer: DataVerdict): answer is readonly Reply[] {
  return Array.isArray(answer)
}

class Transfer implements MessageSource {
  /** The refusal of the `data` hook, if it came while its message still arrives. */
  refusal: Reply | undefined
  readonly #dialogue: Dialogue
  readonly #handle: Handle

  constructor(dialogue: Dialogue, handle: Handle) {
    this.#dialogue = dialogue
    this.#handle = handle
  }

  /** Reads the bytes that the hook has left, up to the message's end or to an earlier end. */
  async readAway(message: IncomingMessage): Promise<void> {
    while (!message.isOver && !this.#dialogue.wire.isOver) {
      try {
        const bytes = this.pull(message, () => null)
        if (bytes instanceof Promise) await bytes
      } catch (error) {
        if (!(error instanceof MessageError)) throw error
      }
    }
  }

  /**
   * Returns the message's next bytes. If they are not here yet, returns a promise of the result of `goOn`, which is
   * called when bytes have come.
   */
  pull<T>(message: IncomingMessage, goOn: () => T | Promise<T>): Uint8Array | null | Promise<T> {
    const dialogue = this.#dialogue
    const { protocol, waits, wire } = dialogue
    if (message !== dialogue.message || message.isOver) throw message.fail('aborted')
    for (;;) {
      // Between two chunks the client may have given the message up, or the hook's refusal may have ended it.
      if (!protocol.isInMessage || wire.isOver) {
        message.isOver = true
        throw message.fail('aborted')
      }
      const event = protocol.next()
      switch (event.type) {
        case 'need-data': {
          const filled = wire.fill(goOn)
          if (filled === undefined) break
          dialogue.endTurn()
          return filled
        }
        case 'chunk':
          waits.rest()
          this.#flushForHook()
          return event.bytes
        case 'message-end':
          message.isWhole = true
          message.isOver = true
          this.#flushForHook()
          return null
        case 'message-failed':
          this.#flushForHook()
          throw message.fail(event.reason, event.reply)
        case 'end':
        case 'close':
          message.isOver = true
          throw message.fail('aborted')
        default: {
          const handled =
            event.type === 'chunk-end' ? dialogue.answer(this.refusal, replies.CHUNK_OK) : this.#handle(dialogue, event)
          const inTurn = dialogue.inTurn(handled)
          if (inTurn !== undefined) return inTurn.then(goOn)
        }
      }
    }
  }

  /** Sends the replies so far if the session waits for the message's hook, because the hook may take long. */
  #flushForHook(): void {
    const { waits, wire } = this.#dialogue
    if (waits.isHookAwaited) wire.flushForHook()
  }
}
