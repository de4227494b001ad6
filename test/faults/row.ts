/**
 * One row of the table of faults: messages are sent while something is broken, then it is mended, and the store is held to
 * what the senders were told.
 */
import { expect } from 'vitest'
import { checkedKept, sha256 } from '../peers/store.ts'
import { type Load, numberOf, type Sent } from './load.ts'

/** A store, read without the server that writes it. */
export interface Shelf {
  keys(): Promise<readonly string[]>
  read(key: string): Promise<Buffer>
}

export interface RowCounts {
  readonly sent: number
  readonly kept: number
  readonly refused451: number
  readonly refused452: number
  /** Messages that are there, whatever was answered. */
  readonly found: number
  /** Found beyond one of each: a message that is there though it was refused, and was sent again. */
  readonly duplicates: number
  /** Bytes that no envelope names: nobody lists them, and a sweep removes them. */
  readonly orphans: number
}

/** Temporary, and said as WIRE has it for a store that fails: nothing else may a client hear of one. */
const REFUSALS = [/^451 4\.3\.0 /, /^452 4\.3\.1 /]

/** What the messages of a row were answered, and what is there of them. Fails where a promise was not kept. */
export async function countRow(batch: readonly Sent[], load: Load, shelf: Shelf): Promise<RowCounts> {
  const keys = await shelf.keys()
  const envelopes = keys.filter((key) => key.endsWith('.json'))
  await Promise.all(envelopes.map((envelope) => look(envelope, load, shelf)))
  /** Ids of each message of this row. */
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

/** A message that is listed is whole: its bytes are there, are those of its record, and are what was sent. */
async function look(envelope: string, load: Load, shelf: Shelf): Promise<void> {
  // Blobs are written once: what was read need not be read again.
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

/** A line for a person to read. */
export function rowLine(where: string, name: string, counts: RowCounts): string {
  const { sent, kept, refused451, refused452, found, duplicates, orphans } = counts
  const answers = `sent ${sent}, 250: ${kept}, 451: ${refused451}, 452: ${refused452}`
  return `${where} | ${name} | ${answers}, found ${found}, duplicates ${duplicates}, without envelope ${orphans}`
}
