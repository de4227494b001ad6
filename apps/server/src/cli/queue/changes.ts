/** Changes what the queue has: `postern queue retry`, `hold`, `release` and `delete`. The server notices within a second. */
import process from 'node:process'
import type { DeliveryState, QueueEntry } from '@postern/relay'
import { EXIT, Failure } from '../../host/failure.ts'
import { invocation } from '../../host/invocation.ts'
import { complain, print, printJson } from '../../host/output.ts'
import { safe } from '../../host/terminal.ts'
import { eachPage, missing, type Wanted } from './listing.ts'
import type { OpenQueue } from './opening.ts'

export type ChangeAction = 'retry' | 'hold' | 'release' | 'delete'

/** The messages to change: those with these ids, or all, or all with a delivery to a destination. */
export interface Chosen {
  readonly ids: readonly string[]
  readonly destination?: string
  readonly json: boolean
}

interface Change {
  readonly past: string
  /** The states of the deliveries that it changes. */
  readonly states: readonly DeliveryState[]
  /** Returns how many of the entries were there. */
  apply(open: OpenQueue, entries: readonly QueueEntry[]): Promise<number>
}

/** Messages that one call changes. */
const MAX_AT_ONCE = 1_000

const CHANGES: Readonly<Record<ChangeAction, Change>> = {
  retry: {
    past: 'retried',
    states: ['waiting', 'due'],
    apply: ({ queue }, entries) => queue.retry(idsOf(entries), Date.now()),
  },
  hold: { past: 'held', states: ['waiting', 'due'], apply: ({ queue }, entries) => queue.hold(idsOf(entries)) },
  release: { past: 'released', states: ['held'], apply: ({ queue }, entries) => queue.unhold(idsOf(entries)) },
  delete: { past: 'deleted', states: ['waiting', 'due', 'held', 'finished'], apply: removeWithMessages },
}

/** Changes the messages, and continues after an id that is not there. The exit code is then 1. */
export async function change(open: OpenQueue, action: ChangeAction, chosen: Chosen): Promise<void> {
  const count = chosen.ids.length > 0 ? await changeNamed(open, action, chosen) : await changeAll(open, action, chosen)
  const { past } = CHANGES[action]
  if (!chosen.json && count > 0) await print(`${past} ${count} ${count === 1 ? 'message' : 'messages'}\n`)
}

async function changeNamed(open: OpenQueue, action: ChangeAction, { ids, json }: Chosen): Promise<number> {
  const { apply, past } = CHANGES[action]
  const unique = [...new Set(ids)]
  let count = 0
  for (let at = 0; at < unique.length; at += MAX_AT_ONCE) {
    const entries: QueueEntry[] = []
    for (const id of unique.slice(at, at + MAX_AT_ONCE)) {
      const entry = await open.queue.get(id)
      const failure = entry === undefined ? missing(id) : action === 'retry' ? heldBack(entry) : undefined
      if (entry !== undefined && failure === undefined) entries.push(entry)
      if (failure === undefined) continue
      complain(failure.message)
      process.exitCode = failure.exitCode
      if (json) await printJson({ id, [past]: false })
    }
    count += await apply(open, entries)
    if (json) for (const { id } of entries) await printJson({ id, [past]: true })
  }
  return count
}

async function changeAll(open: OpenQueue, action: ChangeAction, { destination, json }: Chosen): Promise<number> {
  const { apply, past, states } = CHANGES[action]
  let count = 0
  const wanted: Wanted = {
    ...(states.length === 1 && { state: states[0] }),
    ...(destination !== undefined && { destination }),
  }
  await eachPage(open.queue, { ...wanted, limit: Infinity }, async (found) => {
    const entries = found.filter(({ deliveries }) => deliveries.some(({ state }) => states.includes(state)))
    count += await apply(open, entries)
    if (json) for (const { id } of entries) await printJson({ id, [past]: true })
  })
  if (!json && count === 0) process.stderr.write(`Nothing to ${action} in the queue ${safe(open.place)}.\n`)
  return count
}

/** Removes entries, and then their messages. If the program is killed in between, the server removes the messages when it starts. */
async function removeWithMessages(open: OpenQueue, entries: readonly QueueEntry[]): Promise<number> {
  const { queue } = open
  // Opened first: if that fails, nothing is removed.
  const spool = await open.spool()
  const count = await queue.remove(idsOf(entries))
  for (const { messageId } of entries) {
    // Another entry may send the same message.
    const { entries: others } = await queue.list({ messageId, limit: 1 })
    if (others.length === 0) await spool.remove(messageId)
  }
  return count
}

/** Returns why a message is not tried although somebody asks for it. */
function heldBack({ id, deliveries }: QueueEntry): Failure | undefined {
  const isHeld = deliveries.some(({ state }) => state === 'held')
  const isTried = deliveries.some(({ state }) => state === 'waiting' || state === 'due')
  if (!isHeld || isTried) return undefined
  return new Failure(`${safe(id)} is held; ${invocation()} queue release ${safe(id)} lets it go`, EXIT.failed)
}

function idsOf(entries: readonly QueueEntry[]): string[] {
  return entries.map(({ id }) => id)
}
