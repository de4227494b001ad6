/**
 * Two servers keep mail in one directory. One of them is killed again and again, the other goes on. Meanwhile other processes
 * list, read, delete and sweep.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { expect, test } from 'vitest'
import { COMMANDS } from '../kit/commands.ts'
import { Random } from '../kit/random.ts'
import { sample } from '../kit/sample.ts'
import { posternOver, serveMail } from '../kit/postern.ts'
import { filesIn, keptIds, readKept } from '../peers/store.ts'
import { Scratch } from '../kit/scratch.ts'
import { expectKept, Load } from './load.ts'

/** As in kill.test.ts, with a quarter of the rounds. */
const asked = Number(process.env['KILL_ROUNDS'] ?? 0)
const ROUNDS = asked > 0 ? Math.ceil(asked / 4) : 2
const RUNTIMES = sample(['bun', 'deno'] as const, asked > 0 ? 2 : 1)
const SESSIONS = 6
const LEAST_MS = 60
const MOST_MS = 600

/** Repeats the work until it is stopped. */
async function untilStopped(stop: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!stop.aborted) {
    await work()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Lists and reads mail, and deletes what it has read. None of these ids may come back. */
async function lookAndDelete(store: string, load: Load, deleted: Set<string>): Promise<void> {
  const listing = await posternOver(store, ['list', '--json', '--limit', '20'])
  expect(listing.code, listing.stderr.toString()).toBe(0)
  expect(JSON.parse(listing.stdout.toString()).corrupt).toEqual([])
  const { id } = load.answered.findLast((sent) => !deleted.has(sent.id as string)) ?? {}
  if (id === undefined) return
  expect((await posternOver(store, ['show', id, '--raw'])).code).toBe(0)
  expect((await posternOver(store, ['delete', id])).code).toBe(0)
  deleted.add(id)
}

test.each(RUNTIMES)(
  'Node and %s on one directory keep each message with 250 once and whole, however often one is killed',
  async (runtime) => {
    await using scratch = await Scratch.make()
    const store = scratch.join('mail')
    const seed = Date.now() % 2 ** 31
    const random = new Random(seed)
    const load = new Load(seed)
    const deleted = new Set<string>()
    const stop = new AbortController()
    let sweeps = 0

    await using steady = await serveMail({ store })
    load.start(steady.port, SESSIONS)
    const others = [
      untilStopped(stop.signal, () => lookAndDelete(store, load, deleted)),
      untilStopped(stop.signal, async () => {
        await mailStore(fs(store)).sweep({ olderThanMs: 60_000 })
        // Sweeps empty directories and leftover files as soon as no writer can still need them.
        await fs(store).sweep?.(20_000)
        sweeps++
      }),
    ]
    for (let round = 0; round < ROUNDS; round++) {
      await using server = await serveMail({ command: COMMANDS[runtime], store })
      load.start(server.port, SESSIONS)
      await new Promise((resolve) => setTimeout(resolve, random.between(LEAST_MS, MOST_MS)))
      expect(await server.end('SIGKILL')).toBe('SIGKILL')
    }
    stop.abort()
    await Promise.all(others)
    expect(steady.isRunning).toBe(true)
    await load.over()
    expect(await steady.end('SIGTERM')).toBe(0)

    const { answered, sent } = load
    const numbers = await expectKept(load, await keptIds(store), (id) => readKept(store, id), { deleted, seed })
    expect(load.unexpected).toEqual([])
    expect(answered.length).toBeGreaterThan(10 * ROUNDS)
    expect(deleted.size).toBeGreaterThan(0)
    expect(sweeps).toBeGreaterThan(0)

    const leftovers = (await readdir(join(store, '.tmp'))).length
    const { messages, temporary } = await mailStore(fs(store)).sweep({ olderThanMs: 0 })
    expect(temporary).toBe(leftovers)
    expect(await filesIn(store)).toHaveLength(2 * numbers.size)
    console.info(
      `Node and ${runtime} on one directory: seed ${seed}, ${ROUNDS} kills, ${sent.length} sent, ${answered.length} answered 250, ` +
        `${numbers.size} found and ${deleted.size} deleted, none missing, none torn; ${sweeps} sweeps meanwhile; ` +
        `left for the last: ${messages} without envelope, ${temporary} temporary`,
    )
  },
  120_000 + asked * 6_000,
)
