/**
 * The server is killed under load, again and again. Each message with 250 is there and whole, and no listed message is torn.
 *
 * A killed process loses its memory, but not the data that the kernel has. So this test shows whether 250 waits for the
 * commit and whether the commit is one step. Another test counts fsyncs to show that 250 waits for the disk.
 */
import { expect, test } from 'vitest'
import { COMMANDS } from '../kit/commands.ts'
import { Random } from '../kit/random.ts'
import { isThorough, sample } from '../kit/sample.ts'
import { posternOver, serveMail } from '../kit/postern.ts'
import { filesIn, type Kept, keptIds, readKept, sha256 } from '../peers/store.ts'
import { Scratch } from '../kit/scratch.ts'
import { Load, numberOf } from './load.ts'

/**
 * All runtimes share the code of the commit, so fewer rounds on the others are enough, and a run takes one of the others.
 * `KILL_ROUNDS=200` runs so many rounds on Node, and a quarter of them on each other runtime.
 */
const asked = Number(process.env['KILL_ROUNDS'] ?? 0)
const USUAL = isThorough ? { node: 10, deno: 3, bun: 3 } : { node: 4, deno: 2, bun: 2 }
const ROUNDS = asked > 0 ? { node: asked, deno: Math.ceil(asked / 4), bun: Math.ceil(asked / 4) } : USUAL
const OTHERS = ['deno', 'bun'] as const
const RUNTIMES = ['node', ...(asked > 0 ? OTHERS : sample(OTHERS, 1))] as const
const SESSIONS = 16
const LEAST_MS = 60
const MOST_MS = 700

/** Reads the new listed messages while the server writes. */
async function readWhile(store: string, isRunning: () => boolean, seen: Set<string>): Promise<void> {
  while (isRunning()) {
    const ids = (await keptIds(store)).filter((id) => !seen.has(id)).slice(-20)
    for (const id of ids) {
      await readKept(store, id)
      seen.add(id)
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test.each(RUNTIMES)(
  'if the server is killed under load on %s again and again, each message with 250 is there once, and whole',
  async (runtime) => {
    const rounds = ROUNDS[runtime]
    await using scratch = await Scratch.make()
    const store = scratch.join('mail')
    const seed = Date.now() % 2 ** 31
    const random = new Random(seed)
    const load = new Load(seed)
    const found = new Map<string, Kept['record']>()
    const numbers = new Map<number, string>()
    const readMeanwhile = new Set<string>()

    for (let round = 0; round <= rounds; round++) {
      await using server = await serveMail({ command: COMMANDS[runtime], store })
      // Checks the files of the last round while the next server runs.
      for (const id of await keptIds(store)) {
        if (found.has(id)) continue
        const kept = await readKept(store, id)
        const number = numberOf(kept)
        expect(load.sent[number], `seed ${seed}, message ${number}`).toBeDefined()
        expect(sha256(kept.bytes), `seed ${seed}, message ${number}`).toBe(load.sent[number]?.sha256)
        expect(numbers.has(number), `seed ${seed}, message ${number} is there twice`).toBe(false)
        numbers.set(number, id)
        found.set(id, kept.record)
      }
      for (const { number, id } of load.answered) expect(numbers.get(number), `seed ${seed}`).toBe(id)
      if (round === rounds) break

      load.start(server.port, SESSIONS)
      const reading = readWhile(store, () => server.isRunning, readMeanwhile)
      // A busy machine may have answered no message so far, and then the test would check nothing.
      const isLast = round === rounds - 1
      if (isLast) await expect.poll(() => load.answered.length, { timeout: 60_000 }).toBeGreaterThan(rounds)
      await new Promise((resolve) => setTimeout(resolve, random.between(LEAST_MS, MOST_MS)))
      expect(await server.end('SIGKILL')).toBe('SIGKILL')
      await load.over()
      await reading
    }

    const listed = JSON.parse((await posternOver(store, ['list', '--json', '--limit', '1000000'])).stdout.toString())
    expect(listed.corrupt).toEqual([])
    expect(listed.records.map(({ id }: { id: string }) => id).toSorted()).toEqual([...found.keys()].toSorted())
    expect(load.unexpected).toEqual([])
    const { sent, answered } = load
    expect(answered.length).toBeGreaterThan(rounds)
    const files = await filesIn(store)
    const leftovers = files.filter((file) => file.startsWith('.')).length
    const orphans = files.filter((file) => file.endsWith('.eml')).length - found.size
    console.info(
      `kill -9 on ${runtime}: seed ${seed}, ${rounds} rounds, ${sent.length} sent, ${answered.length} answered 250, ${found.size} found, ` +
        `${found.size - answered.length} found but not answered, none missing, none torn; ${readMeanwhile.size} read while the server ran; ` +
        `left for the sweep: ${orphans} without envelope, ${leftovers} temporary`,
    )
  },
  120_000 + asked * 6_000,
)
