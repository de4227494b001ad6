/**
 * One message, from DATA or the first BDAT to its answer: the events that come within it.
 *
 * The `data` hook's reads take the events from the protocol, so bytes move only when somebody wants them, and nothing is queued.
 */
import * as replies from '../protocol/grammar/replies.ts'
import { type Reply, replyAsIs } from '../protocol/grammar/reply.ts'
import type { ServerEvent } from '../protocol/server/event.ts'
import type { Dialogue } from './dialogue.ts'
import type { Verdict } from './handlers.ts'
import { IncomingMessage, type MessageSource } from './session/incoming.ts'
import { MessageError } from './session/message.ts'
import { receivedField } from './session/trace.ts'
import { isRefusal } from './verdict.ts'

/** Handles an event of what comes between two chunks. */
export type Handle = (dialogue: Dialogue, event: ServerEvent) => void | Promise<void>

/** Receives the message that the protocol's event is about, and answers it. */
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
  // The client may be waiting for 354, and the hook for something else than the client.
  const flushed = protocol.unreadOctets === 0 ? wire.flush() : undefined
  if (flushed !== undefined) await flushed

  const asked = dialogue.hooks.ask(() => options.data?.(message, session))
  const verdict: Verdict = (asked instanceof Promise ? await asked : asked) ?? replyAsIs(250, '2.0.0', `OK ${id}`)
  if (isRefusal(verdict)) transfer.refusal = verdict
  const lastRead = message.detach()
  if (lastRead !== undefined) await lastRead
  if (!message.isOver) await transfer.readAway(message)
  dialogue.message = undefined
  if (!message.isWhole || wire.isOver) return
  const final = message.error?.reply ?? verdict
  if (!isRefusal(final)) session.messagesAccepted++
  const answered = dialogue.answer(final, final, message.error === undefined)
  if (answered !== undefined) await answered
}

class Transfer implements MessageSource {
  /** The `data` hook's refusal, once it has one, while its message still arrives. */
  refusal: Reply | undefined
  readonly #dialogue: Dialogue
  readonly #handle: Handle

  constructor(dialogue: Dialogue, handle: Handle) {
    this.#dialogue = dialogue
    this.#handle = handle
  }

  /** Reads what the hook has left, up to the message's end or to what ends it sooner. */
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

  /** The message's next bytes; where they are not here yet, what `goOn` makes of it once something is. */
  pull<T>(message: IncomingMessage, goOn: () => T | Promise<T>): Uint8Array | null | Promise<T> {
    const dialogue = this.#dialogue
    const { protocol, waits, wire } = dialogue
    if (message !== dialogue.message || message.isOver) throw message.fail('aborted')
    for (;;) {
      // Between two chunks a client may give the message up, or the hook's refusal may have ended it.
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

  /** Sends the replies so far where the message's hook is waited for, which may take its time. */
  #flushForHook(): void {
    const { waits, wire } = this.#dialogue
    if (waits.isHookAwaited) wire.flushForHook()
  }
}
