/** An entry of a queue as JSON, for people and programs. */
import type { QueueEntry } from './entry.ts'

/** Returns the entry as JSON has it: times are texts. */
export function described({ queuedAt, envelope, deliveries, ...rest }: QueueEntry): Readonly<Record<string, unknown>> {
  const { holdUntil, deliverBy, ...others } = envelope
  return {
    ...rest,
    queuedAt: isoTime(queuedAt),
    envelope: {
      ...others,
      ...(holdUntil !== undefined && { holdUntil: isoTime(holdUntil) }),
      ...(deliverBy !== undefined && { deliverBy: { ...deliverBy, deadline: isoTime(deliverBy.deadline) } }),
    },
    deliveries: deliveries.map(({ dueAt, recipients, ...delivery }) => ({
      ...delivery,
      dueAt: isoTime(dueAt),
      recipients: recipients.map(({ lastReply, ...recipient }) => ({
        ...recipient,
        ...(lastReply !== undefined && { lastReply: { ...lastReply, at: isoTime(lastReply.at) } }),
      })),
    })),
  }
}

/** Writes a time in UTC. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
