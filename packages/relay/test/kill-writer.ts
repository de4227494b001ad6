/**
 * Uses a queue without end, and says on standard output what it does. kill.test.ts kills it.
 *
 * A line is a letter and the id of an entry. `a`, `s` and `r`: the writer is about to add, settle or remove it. `A`, `S` and `R`: the
 * promise has resolved. `C`: the writer has claimed it.
 */
import { writeSync } from 'node:fs'
import process from 'node:process'
import type { Claim, Settlement } from '@postern/relay'
import { openSqliteQueue } from '@postern/relay/sqlite'
import { entry } from '../../../test/contracts/queue/check.ts'

const CALLERS = 16
const [, , path = '', round = ''] = process.argv
const queue = await openSqliteQueue(path)
let made = 0
const sleeping = new Int32Array(new SharedArrayBuffer(4))

/** Writes a line at once, so that it is out before the next step. The pipe is full while the test does not read. */
function say(letter: string, id: string): void {
  for (;;) {
    try {
      writeSync(1, `${letter} ${id}\n`)
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      Atomics.wait(sleeping, 0, 0, 1)
    }
  }
}

async function add(): Promise<void> {
  for (;;) {
    const id = `${round}-${made++}`
    say('a', id)
    await queue.add([entry(id, [`x@d${made % 5}.example`, `y@d${made % 5}.example`])])
    say('A', id)
    // Entries must not come faster than they go.
    while ((await queue.stats()).entries > 500) await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Every third attempt is repeated, and every third fails and adds a report. */
async function settle(claim: Claim): Promise<void> {
  const { id, attempts, recipients } = claim
  const number = Number(id.split('-')[1])
  const isRepeated = number % 3 === 0 && attempts === 0
  const state = isRepeated ? 'pending' : number % 3 === 1 ? 'failed' : 'relayed'
  const isReported = state === 'failed' && !id.startsWith('report')
  // Some stay, so that kill.test.ts sees their results.
  const isRemovedAtOnce = number % 4 === 1 && !isRepeated
  const isRemovedLater = number % 4 === 3
  const settlement: Settlement = {
    claim,
    results: recipients.map(({ index }) => ({ index, state })),
    ...(isRepeated && { dueAt: Date.now() }),
    ...(isReported && { add: [entry(`report.${id}`, ['s@reports.example'])] }),
    ...(isRemovedAtOnce && { removeIfFinished: true }),
  }
  if (!isRepeated) say('s', id)
  if (isRemovedAtOnce) say('r', id)
  const [settled] = await queue.settle([settlement])
  if (isRepeated || settled?.isFinished !== true) return
  say('S', id)
  if (isReported) say('A', `report.${id}`)
  if (isRemovedAtOnce) return say('R', id)
  if (!isRemovedLater) return
  say('r', id)
  await queue.remove([id])
  say('R', id)
}

async function deliver(): Promise<void> {
  for (;;) {
    const claims = await queue.claim({ now: Date.now(), max: 20, leaseMs: 600_000 })
    for (const { id } of claims) say('C', id)
    await Promise.all(claims.map(settle))
    if (claims.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

await Promise.all([...Array.from({ length: CALLERS }, add), deliver(), deliver()])
