/**
 * One row of the table of faults. Messages are sent during the fault, then the fault is lifted, and the store is compared with
 * the replies to the senders.
 */
import { expect } from 'vitest'
import { checkedKept, sha256 } from '../peers/store.ts'
import { type Load, numberOf, type Sent } from './load.ts'

/** Reads a store without the server that writes it. */
export interface Shelf {
  keys(): Promise<readonly string[]>
  read(key: string): Promise<Buffer>
}

export interface RowCounts {
  readonly sent: number
  readonly kept: number
  readonly refused451: number
  readonly refused452: number
  /** The messages that are there, with any reply. */
  readonly found: number
  /** Duplicates: a message that was refused but kept, and then was sent again. */
  readonly duplicates: number
  /** Bytes without an envelope. They are never listed, and a sweep removes them. */
  readonly orphans: number
}

/** The temporary refusals that WIRE has for a failed store. A client may get no other. */
const REFUSALS = [/^451 4\.3\.0 /, /^452 4\.3\.1 /]

/** Collects the replies to the messages of a row, and the stored messages. Fails if a message with 250 is missing. */
export async function countRow(batch: readonly Sent[], load: Load, shelf: Shelf): Promise<RowCounts> {
  const keys = await shelf.keys()
  const envelopes = keys.filter((key) => key.endsWith('.json'))
  await Promise.all(envelopes.map((envelope) => look(envelope, load, shelf)))
  /** The ids of each message of this row. */
  const found = new Map<number, string[]>()
  for (const envelope of envelopes) {
    const number = load.looked.get(envelope) as number
    if (batch.some((sent) => sent.number === number)) found.set(number, [...(found.get(number) ?? []), idOf(envelope)])
  }
  for (const { number, id } of batch) {
    if (id !== undefined) expect(found.get(number) ?? [], `message ${number} was answered 250`).toContain(id)
  }
  const refusals = batch.flatMap(({ refusals }) => refusals)
  for (const refusal of refusals)
    expect(
      REFUSALS.some((pattern) => pattern.test(refusal)),
      refusal,
    ).toBe(true)
  return {
    sent: batch.length + refusals.length - batch.filter(({ id }) => id === undefined).length,
    kept: batch.filter(({ id }) => id !== undefined).length,
    refused451: refusals.filter((text) => text.startsWith('451')).length,
    refused452: refusals.filter((text) => text.startsWith('452')).length,
    found: found.size,
    duplicates: [...found.values()].reduce((sum, ids) => sum + ids.length - 1, 0),
    orphans: keys.filter((key) => key.endsWith('.eml') && !keys.includes(key.replace(/eml$/, 'json'))).length,
  }
}

/** Checks that a listed message is whole: its bytes exist, agree with its record, and are the sent ones. */
async function look(envelope: string, load: Load, shelf: Shelf): Promise<void> {
  // Blobs are written once, so each is read only once.
  if (load.looked.has(envelope)) return
  const [record, stored] = await Promise.all([shelf.read(envelope), shelf.read(envelope.replace(/json$/, 'eml'))])
  const kept = checkedKept(idOf(envelope), record.toString(), stored)
  const number = numberOf(kept)
  expect(sha256(kept.bytes), `message ${number}`).toBe(load.sent[number]?.sha256)
  load.looked.set(envelope, number)
}

function idOf(envelope: string): string {
  return envelope.slice(envelope.lastIndexOf('/') + 1, -'.json'.length)
}

/** Returns a line for human readers. */
export function rowLine(where: string, name: string, counts: RowCounts): string {
  const { sent, kept, refused451, refused452, found, duplicates, orphans } = counts
  const answers = `sent ${sent}, 250: ${kept}, 451: ${refused451}, 452: ${refused452}`
  return `${where} | ${name} | ${answers}, found ${found}, duplicates ${duplicates}, without envelope ${orphans}`
}
