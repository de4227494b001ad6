/**
 * kill -9 at any moment loses nothing whose promise has resolved, and nothing that is settled is delivered again. The kernel keeps what a
 * killed process has written, so this does not show that the disk is waited for: SQLite's `synchronous = FULL` does that.
 */
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import type { QueueEntry } from '@postern/relay'
import { openSqliteQueue } from '@postern/relay/sqlite'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { Daemon } from '../../../test/kit/daemon.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { chance, isThorough, sample } from '../../../test/kit/sample.ts'
import { sleep } from '../../../test/kit/waiting.ts'

const WRITER = resolve(import.meta.dirname, 'kill-writer.ts')
const MOST_MS = 300
const asked = Number(process.env['KILL_ROUNDS'] ?? 0)
const ROUNDS = { node: asked || (isThorough ? 100 : 10), deno: isThorough ? 30 : 3, bun: isThorough ? 30 : 3 }

/** What the writers have said, over all rounds. */
class Record {
  readonly added = new Set<string>()
  readonly settled = new Set<string>()
  /** The writer may have removed them. */
  readonly removing = new Set<string>()
  readonly removed = new Set<string>()
  claims = 0

  read(line: string): void {
    const [letter, id = ''] = line.split(' ')
    if (letter === 'A') this.added.add(id)
    if (letter === 'S') this.settled.add(id)
    if (letter === 'r') this.removing.add(id)
    if (letter === 'R') this.removed.add(id)
    if (letter !== 'C') return
    this.claims++
    expect(this.settled.has(id), `${id} is claimed after it was settled`).toBe(false)
  }
}

async function entriesOf(path: string): Promise<Map<string, QueueEntry>> {
  await using queue = await openSqliteQueue(path)
  const found = new Map<string, QueueEntry>()
  let cursor: string | undefined
  do {
    const page: Awaited<ReturnType<typeof queue.list>> = await queue.list({ limit: 1_000, cursor })
    for (const each of page.entries) found.set(each.id, each)
    cursor = page.cursor
  } while (cursor !== undefined)
  return found
}

test.each(sample(['node', 'deno', 'bun'] as const, 1))(
  'if a process on %s is killed again and again, the queue has all that the process was told it has',
  { timeout: 120_000 + ROUNDS.node * 5_000 },
  async (runtime) => {
    const path = join(temporaryDirectory(), 'queue.db')
    const random = chance(ROUNDS[runtime])
    const record = new Record()
    let found = new Map<string, QueueEntry>()
    for (let round = 0; round < ROUNDS[runtime]; round++) {
      const writer = await Daemon.start([...COMMANDS[runtime], WRITER, path, String(round)], /S /)
      await sleep(random.below(MOST_MS))
      const signal = await writer.end('SIGKILL')
      expect({ signal, complaints: writer.stderr }).toEqual({ signal: 'SIGKILL', complaints: '' })
      // The kill may cut off the last line.
      for (const line of writer.stdout.split('\n').slice(0, -1)) record.read(line)

      found = await entriesOf(path)
      const lost = [...record.added].filter((id) => !found.has(id) && !record.removing.has(id))
      const undone = [...record.settled].filter((id) =>
        found.get(id)?.deliveries.some((delivery) => delivery.recipients.some(({ state }) => state === 'pending')),
      )
      const back = [...record.removed].filter((id) => found.has(id))
      expect({ lost, undone, back }, `round ${round}`).toEqual({ lost: [], undone: [], back: [] })
      // A report is there exactly if its entry has failed.
      for (const { id, deliveries } of found.values()) {
        if (id.startsWith('report') || deliveries[0]?.recipients[0]?.state !== 'failed') continue
        const report = `report.${id}`
        expect(found.has(report) || record.removing.has(report), `${report} in round ${round}`).toBe(true)
      }
    }
    const { added, settled, removed, claims } = record
    expect(removed.size).toBeGreaterThan(0)
    console.info(
      `kill -9 on ${runtime}: ${ROUNDS[runtime]} rounds, ${added.size} added, ${claims} claimed, ${settled.size} settled, ` +
        `${removed.size} removed; nothing lost, undone or back`,
    )
  },
)
