/** Records results. A settlement and the entries that it adds are one message of the stream. */
import type { PreparedEntry } from '../checks.ts'
import type { Settled } from '../queue.ts'
import type { Additions } from './additions.ts'
import { type PreparedSettlement, settled, withAdded } from './changes.ts'
import type { Mirror } from './mirror.ts'
import { encode, type StoredEntry } from './record.ts'
import type { Records } from './table.ts'
import { together } from './together.ts'

export interface SettlingDeps {
  readonly mirror: Mirror
  readonly records: Records
}

interface Group {
  readonly name: string
  readonly settlements: readonly PreparedSettlement[]
}

/** What nobody else knows is not given up: the result of an attempt waits until the server is there, or the queue is closed. */
const PATIENCE_MS = Infinity

/** @returns one answer for each, in order. @throws QueueError `invalid`. Then nothing is recorded */
export async function settleAll(
  settlements: readonly PreparedSettlement[],
  deps: SettlingDeps,
  additions: Additions,
): Promise<Settled[]> {
  const { mirror, records } = deps
  const answers = new Map<PreparedSettlement, Settled>()
  const byRecord = Map.groupBy(settlements, ({ settlement }) => mirror.byId(settlement.claim.id)?.record.name)
  const groups = [...byRecord].flatMap(([name, each]): Group[] =>
    name === undefined ? [] : [{ name, settlements: each }],
  )
  // Nothing is written if one of them is wrong.
  await together(groups, (group) =>
    records.change(
      group.name,
      (entries, seq) => ({ ...settled(entries, seq, group.settlements, isHeld(mirror)), entries: undefined }),
      {
        patienceMs: PATIENCE_MS,
      },
    ),
  )
  await together(groups, async (group) => {
    const results = await settleRecord(group, deps, additions)
    for (const [at, settlement] of group.settlements.entries()) answers.set(settlement, results[at] as Settled)
  })
  return settlements.map((settlement) => answers.get(settlement) ?? { status: 'gone', isFinished: false })
}

interface Recorded {
  readonly result: readonly Settled[]
  readonly added: readonly PreparedEntry[]
  /** Those for which the record has no room. */
  readonly left: readonly PreparedEntry[]
}

async function settleRecord(
  { name, settlements }: Group,
  { mirror, records }: SettlingDeps,
  additions: Additions,
): Promise<readonly Settled[]> {
  /** Entries with records of their own, which are there before the result. */
  const outside: PreparedEntry[] = []
  for (;;) {
    const { result, added, left } = await records.change<Recorded>(
      name,
      (entries, seq, maxOctets) => {
        const after = settled(entries, seq, settlements, isHeld(mirror))
        const missing = additions.missing(after.added)
        const recorded = { result: after.result, added: after.added, left: [] }
        if (after.entries === undefined || missing.length === 0) return { entries: after.entries, result: recorded }
        const all = withAdded(after.entries, missing)
        if (all !== undefined && fits(all, maxOctets)) return { entries: all, result: recorded }
        return { entries: undefined, result: { ...recorded, left: missing } }
      },
      { patienceMs: PATIENCE_MS },
    )
    if (left.length === 0) {
      const unwanted = outside.filter(({ id }) => !added.some((each) => each.id === id))
      for (const { id } of unwanted) await additions.remove(id)
      return result
    }
    for (const entry of left) {
      await additions.put([entry], PATIENCE_MS)
      outside.push(entry)
    }
  }
}

function isHeld(mirror: Mirror): (token: string) => boolean {
  return (token) => mirror.ownLease(token) !== undefined
}

function fits(entries: readonly StoredEntry[], maxOctets: number): boolean {
  const id = crypto.randomUUID()
  return encode({ by: id, write: id, origin: id, entries }, maxOctets) !== undefined
}
