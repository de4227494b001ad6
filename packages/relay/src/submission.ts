/** Takes messages: writes them to the spool, and then their entries to the queue. */
import type { NewMail, RelayOptions, SentRecipient } from './options.ts'
import type { NewEntry, QueueEnvelope } from './queue/entry.ts'
import type { Queue } from './queue/queue.ts'
import type { Pieces } from './spool.ts'

export interface SubmissionDeps extends Pick<RelayOptions, 'spool' | 'destinationOf'> {
  readonly queue: Pick<Queue, 'add'>
}

/**
 * Takes a message. When the promise resolves, the message and its entry are durable. A program that does not have the queue itself calls
 * this, and wakes the relay then.
 * @param arriving Gets the messages that have no entry yet
 * @param failed Called if a message that nobody needs cannot be removed
 * @throws StorageError, QueueError, and what reading the message throws. Then nothing is kept
 */
export async function submit(
  { id, envelope, recipients, pieces, before, copies }: NewMail,
  deps: SubmissionDeps,
  arriving: Set<string> = new Set(),
  failed: (error: unknown) => void = () => {},
): Promise<void> {
  const { spool, queue } = deps
  const saved = [id]
  const save = async (each: string, bytes: Pieces): Promise<number> => {
    arriving.add(each)
    return spool.save(each, bytes)
  }
  try {
    const size = await save(id, pieces)
    try {
      const open = (): Pieces => spool.open(id)
      const entries = recipients.length === 0 ? [] : [await entryOf(id, { ...envelope, size }, recipients, deps)]
      for (const copy of (await copies?.(open)) ?? []) {
        saved.push(copy.id)
        const copySize = await save(copy.id, copy.pieces)
        entries.push(await entryOf(copy.id, { ...copy.envelope, size: copySize }, copy.recipients, deps))
      }
      await before?.(open)
      await queue.add(entries)
    } catch (error) {
      for (const each of saved) await spool.remove(each).catch(() => {})
      throw error
    }
  } finally {
    for (const each of saved) arriving.delete(each)
  }
  // Nobody needs the message itself if it has only copies. A crash here leaves it for `tidy`.
  if (recipients.length === 0) await spool.remove(id).catch(failed)
}

export async function entryOf(
  id: string,
  envelope: QueueEnvelope,
  recipients: readonly SentRecipient[],
  { destinationOf }: Pick<RelayOptions, 'destinationOf'>,
): Promise<NewEntry> {
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
