/** What a process keeps in memory of the entries of the stream. */
import type { DeliveryState } from '../entry.ts'
import type { Placed } from '../memory/deliveries.ts'
import type { StoredLease } from './record.ts'

export interface KnownRecord {
  readonly name: string
  /** The sequence number of the message. */
  seq: number
  entries: KnownEntry[]
  /** The last reading of the whole stream that has met the record. */
  reading: number
}

export interface KnownEntry {
  readonly id: string
  readonly messageId: string
  readonly queuedAt: number
  readonly order: number
  readonly record: KnownRecord
  readonly deliveries: KnownDelivery[]
}

export interface KnownDelivery extends Placed {
  readonly entry: KnownEntry
  /** Its index among the deliveries of its entry. */
  readonly index: number
  /** The state in the stream. `state` is `due` already if its time has come, and `held` while another process has the first turn. */
  stored: DeliveryState
  /** The lease in the stream. */
  lease: StoredLease | undefined
}

/** A lease of this process. */
export interface OwnLease {
  readonly token: string
  readonly record: string
  readonly number: number
  /** When the caller's lease ends. The stream has an earlier time, which is moved while this process lives. */
  endsAt: number
}

/** Returns the state of a delivery as lists show it. */
export function shownState({ stored, state }: KnownDelivery): DeliveryState {
  return stored === 'waiting' && state === 'due' ? 'due' : stored
}
