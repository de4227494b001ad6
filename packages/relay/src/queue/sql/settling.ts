/** Writes a settlement into the tables. */
import type { PreparedEntry } from '../checks.ts'
import { type Leases, numberOf } from '../leases.ts'
import type { Settled, Settlement } from '../queue.ts'
import { afterResults, isPending } from '../results.ts'
import { FINISHED, HELD, recipientsOf, type Rows, WAITING } from './rows.ts'

/** @throws QueueError `invalid`, `corrupt` */
export function settleOne(
  rows: Rows,
  leases: Leases,
  settlement: Settlement,
  added: readonly PreparedEntry[],
): Settled {
  const { claim } = settlement
  const number = numberOf(claim)
  const row = Number.isSafeInteger(number) ? rows.joined(number) : undefined
  if (row === undefined || row.id !== claim.id) return { status: 'gone', isFinished: false }
  const isLate = leases.find(claim) === undefined
  const before = recipientsOf(row, row.id)
  const after = afterResults(before, settlement, isLate)
  const hasChanged = after.some((recipient, at) => recipient !== before[at])
  const isLeft = after.some(isPending)
  const hasFinished = !isLeft && row.state !== FINISHED
  const isFinished = row.pending - (hasFinished ? 1 : 0) === 0
  const isRemoved = isFinished && settlement.removeIfFinished === true
  if (hasChanged || !isLate) for (const entry of added) rows.insert(entry)
  if (isRemoved) {
    rows.remove(row.entry)
    return { status: isLate ? 'late' : 'settled', isFinished, isRemoved }
  }
  if (hasChanged || !isLate) {
    const waits = isLate || row.state === HELD ? row.state : WAITING
    rows.updateDelivery({
      number,
      state: isLeft ? waits : FINISHED,
      due_at: isLate || !isLeft ? row.due_at : (settlement.dueAt ?? row.due_at),
      attempts: row.attempts + (hasChanged ? 1 : 0),
      recipients: JSON.stringify(after),
    })
  }
  if (hasFinished) rows.countFinished(row.entry)
  return { status: isLate ? 'late' : 'settled', isFinished }
}
