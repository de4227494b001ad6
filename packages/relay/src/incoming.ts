/** Takes messages into the spool and the queue. A message is durable before its entry. */
import type { NewMail, RelayOptions, SentRecipient } from './options.ts'
import type { Pieces } from './pieces.ts'
import type { NewEntry, QueueEnvelope } from './queue/entry.ts'
import type { Queue } from './queue/queue.ts'

export interface SubmissionDeps extends Pick<RelayOptions, 'destinationOf' | 'spool'> {
  readonly queue: Pick<Queue, 'add'>
}

export interface IncomingDeps {
  readonly options: SubmissionDeps
  /** Removes a message that nobody needs, some time later. */
  removeLater(messageId: string): void | Promise<void>
}

/**
 * Takes a message. When the promise resolves, the message and its entry are durable. A program that does not have the queue itself calls
 * this, and wakes the relay then.
 * @throws StorageError, QueueError, and what reading the message throws. Then nothing is kept
 */
export async function submit(mail: NewMail, deps: SubmissionDeps): Promise<void> {
  // What cannot be removed now is left for `tidy`.
  const removeLater = (messageId: string): Promise<void> => deps.spool.remove(messageId).catch(() => {})
  await new Incoming({ options: deps, removeLater }).submit(mail)
}

export class Incoming {
  readonly #deps: IncomingDeps
  /** Messages that get their entry now. */
  readonly #arriving = new Set<string>()

  constructor(deps: IncomingDeps) {
    this.#deps = deps
  }

  /** Returns whether a message is about to get its entry. */
  has(messageId: string): boolean {
    return this.#arriving.has(messageId)
  }

  /** Keeps a message and its copies, and adds their entries. If it rejects, nothing is kept. */
  async submit({ id, envelope, recipients, pieces, before, copies }: NewMail): Promise<void> {
    const { spool, queue } = this.#deps.options
    const saved = [id]
    try {
      const size = await this.save(id, pieces)
      try {
        const open = (): Pieces => spool.open(id)
        const entries = recipients.length === 0 ? [] : [await this.entryOf(id, { ...envelope, size }, recipients)]
        for (const copy of (await copies?.(open)) ?? []) {
          saved.push(copy.id)
          const copySize = await this.save(copy.id, copy.pieces)
          entries.push(await this.entryOf(copy.id, { ...copy.envelope, size: copySize }, copy.recipients))
        }
        await before?.(open)
        await queue.add(entries)
      } catch (error) {
        for (const each of saved) await spool.remove(each).catch(() => {})
        throw error
      }
    } finally {
      this.forget(saved)
    }
    // Nobody needs the message itself if it has only copies. A crash here leaves it for the next start.
    if (recipients.length === 0) await this.#deps.removeLater(id)
  }

  /** Writes a message that is about to get its entry. The caller calls {@link forget} when it has. Returns the size. */
  async save(messageId: string, pieces: Pieces): Promise<number> {
    this.#arriving.add(messageId)
    return this.#deps.options.spool.save(messageId, pieces)
  }

  /** Says that messages have their entries, or get none. */
  forget(messageIds: readonly string[]): void {
    for (const each of messageIds) this.#arriving.delete(each)
  }

  async entryOf(id: string, envelope: QueueEnvelope, recipients: readonly SentRecipient[]): Promise<NewEntry> {
    const { destinationOf } = this.#deps.options
    return {
      id,
      messageId: id,
      queuedAt: Date.now(),
      envelope,
      recipients: await Promise.all(
        recipients.map(async (recipient) => ({
          ...recipient,
          destination: recipient.destination ?? (await destinationOf(recipient.address)),
        })),
      ),
    }
  }
}
