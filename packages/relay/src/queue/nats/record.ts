/**
 * What one message of the stream has: the entries that were added together, with everything about them. A change of any of them is one new
 * message in place of the old one, so it is applied as a whole.
 */
import type { PreparedEntry } from '../checks.ts'
import type { DeliveryState, QueueDelivery, QueueEntry, QueueEnvelope, QueueRecipient } from '../entry.ts'
import { QueueError } from '../error.ts'

/** The newest format that this program knows. */
export const FORMAT_VERSION = 1

/** Who works on a delivery. */
export interface StoredLease {
  readonly token: string
  readonly endsAt: number
}

export interface StoredDelivery {
  readonly destination: string
  readonly state: DeliveryState
  readonly dueAt: number
  readonly attempts: number
  readonly recipients: readonly QueueRecipient[]
  readonly lease?: StoredLease
}

export interface StoredEntry {
  readonly id: string
  /** The sequence number of the message in which the entry was first. Missing: this one. */
  readonly first?: number
  /** Its place among the entries that were first in that message. */
  readonly at: number
  readonly messageId: string
  readonly queuedAt: number
  readonly holdUntil: number
  readonly envelope: QueueEnvelope
  readonly deliveries: readonly StoredDelivery[]
}

export interface StoredRecord {
  /** Names the queue that wrote this message. */
  readonly by: string
  /** Names this write. A writer that got no answer finds out by it whether the message was stored. */
  readonly write: string
  /** The write that has made the record. */
  readonly origin: string
  /** An administrator wrote it. */
  readonly isManaged?: true
  readonly entries: readonly StoredEntry[]
}

/** A recipient without what most recipients have. */
type ShortRecipient = Partial<QueueRecipient> & Pick<QueueRecipient, 'address'>

/** Entries that were first in one message have so many places in the order of the queue. */
export const MAX_PLACES = 4_096
/** The texts of replies are cut to these lengths, one after the other, until the record fits. */
const TEXT_LENGTHS = [300, 100, 0]

export function storedOf(
  { id, messageId, queuedAt, holdUntil, envelope, deliveries }: PreparedEntry,
  at: number,
): StoredEntry {
  const state = holdUntil === 0 ? 'due' : 'waiting'
  const dueAt = Math.max(queuedAt, holdUntil)
  return {
    id,
    at,
    messageId,
    queuedAt,
    holdUntil,
    envelope,
    deliveries: deliveries.map(({ destination, recipients }) => ({
      destination,
      state,
      dueAt,
      attempts: 0,
      recipients,
    })),
  }
}

export function entryOf({ id, messageId, queuedAt, envelope, deliveries }: StoredEntry): QueueEntry {
  return {
    id,
    messageId,
    queuedAt,
    envelope,
    deliveries: deliveries.map(({ destination, state, dueAt, attempts, recipients }): QueueDelivery => ({
      destination,
      state,
      dueAt,
      attempts,
      recipients,
    })),
  }
}

/** Returns the place of an entry in the order of the queue. @param seq The message in which it is now */
export function orderOf({ first, at }: StoredEntry, seq: number): number {
  return (first ?? seq) * MAX_PLACES + at
}

/** Writes a record. Cuts the texts of replies if it is too long. Returns undefined if it is still too long. */
export function encode(record: StoredRecord, maxBytes: number): Uint8Array | undefined {
  for (const maxText of [Infinity, ...TEXT_LENGTHS]) {
    const bytes = new TextEncoder().encode(JSON.stringify({ version: FORMAT_VERSION, ...shortened(record, maxText) }))
    if (bytes.length <= maxBytes) return bytes
  }
  return undefined
}

function shortened(record: StoredRecord, maxText: number): object {
  return {
    ...record,
    entries: record.entries.map((entry) => ({
      ...entry,
      deliveries: entry.deliveries.map((delivery) => ({
        ...delivery,
        recipients: delivery.recipients.map((recipient) => shortRecipient(recipient, maxText)),
      })),
    })),
  }
}

function shortRecipient(
  { state, attempts, isDelayNotified, lastReply, ...rest }: QueueRecipient,
  maxText: number,
): ShortRecipient {
  return {
    ...rest,
    ...(state !== 'pending' && { state }),
    ...(attempts !== 0 && { attempts }),
    ...(isDelayNotified && { isDelayNotified }),
    ...(lastReply !== undefined && {
      lastReply: maxText === Infinity ? lastReply : { ...lastReply, text: lastReply.text.slice(0, maxText) },
    }),
  }
}

/** @param name Names the message in errors. @throws QueueError `corrupt`, `other-version` */
export function decode(bytes: Uint8Array, name: string): StoredRecord {
  const value = parsed(bytes)
  const version = value?.version
  if (typeof version === 'number' && version > FORMAT_VERSION) {
    const problem = `${name} is of version ${version}; this Postern knows versions up to ${FORMAT_VERSION}`
    throw new QueueError('other-version', problem)
  }
  if (value === undefined || version !== FORMAT_VERSION || !isRecord(value))
    throw new QueueError('corrupt', `${name} is damaged`)
  return {
    by: value.by,
    write: value.write,
    origin: value.origin,
    ...(value.isManaged === true && { isManaged: true }),
    entries: value.entries.map((entry) => ({
      ...entry,
      deliveries: entry.deliveries.map((delivery) => ({
        ...delivery,
        recipients: delivery.recipients.map(wholeRecipient),
      })),
    })),
  }
}

function wholeRecipient({
  state = 'pending',
  attempts = 0,
  isDelayNotified = false,
  ...rest
}: ShortRecipient): QueueRecipient {
  return { ...rest, state, attempts, isDelayNotified }
}

type Parsed = Partial<StoredRecord> & { readonly version?: unknown }

function parsed(bytes: Uint8Array): Parsed | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

const STATES: readonly unknown[] = ['waiting', 'due', 'held', 'finished'] satisfies DeliveryState[]

/** Checks what the queue relies on. Whoever may write into the stream may write anything else. */
function isRecord(value: Parsed): value is StoredRecord {
  const isEntry = ({ id, at, queuedAt, envelope, deliveries }: StoredEntry): boolean =>
    typeof id === 'string' &&
    Number.isSafeInteger(at) &&
    Number.isSafeInteger(queuedAt) &&
    typeof envelope?.reversePath === 'string' &&
    Array.isArray(deliveries) &&
    deliveries.every(isDelivery)
  const isDelivery = ({ destination, state, dueAt, recipients }: StoredDelivery): boolean =>
    typeof destination === 'string' &&
    STATES.includes(state) &&
    Number.isSafeInteger(dueAt) &&
    Array.isArray(recipients) &&
    recipients.every((recipient: QueueRecipient) => typeof recipient?.address === 'string')
  try {
    return (
      typeof value.write === 'string' &&
      typeof value.origin === 'string' &&
      Array.isArray(value.entries) &&
      value.entries.every(isEntry)
    )
  } catch {
    return false
  }
}
