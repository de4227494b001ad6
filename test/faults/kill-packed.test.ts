/**
 * Two servers keep mail in packs in one directory. One of them is killed again and again, the other goes on, and meanwhile mail is
 * listed, deleted and swept. Each message with 250 is there once, and whole.
 */
import { buffer } from 'node:stream/consumers'
import { type BlobStore, mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { expect, test } from 'vitest'
import { COMMANDS } from '../kit/commands.ts'
import { Random } from '../kit/random.ts'
import { isThorough } from '../kit/sample.ts'
import { posternOver, serveMail } from '../kit/postern.ts'
import { checkedKept, filesIn, folderOf, type Kept } from '../peers/store.ts'
import { Scratch } from '../kit/scratch.ts'
import { expectKept, Load } from './load.ts'

/** As in kill.test.ts, with a quarter of the rounds. */
const asked = Number(process.env['KILL_ROUNDS'] ?? 0)
const ROUNDS = asked > 0 ? Math.ceil(asked / 4) : 2
const RUNTIMES = isThorough ? (['node', 'deno', 'bun'] as const) : (['bun'] as const)
const SESSIONS = 8
const LEAST_MS = 60
const MOST_MS = 600

/** Returns the listed ids, oldest first. */
async function keptIds(blobs: BlobStore): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const page = await mailStore(blobs).list({ limit: 1000, ...(cursor !== undefined && { cursor }) })
    expect(page.corrupt).toEqual([])
    ids.push(...page.records.map(({ id }) => id))
    cursor = page.cursor
  } while (cursor !== undefined)
  return ids.toReversed()
}

async function readKept(blobs: BlobStore, id: string): Promise<Kept> {
  const [record, bytes] = await Promise.all(
    ['json', 'eml'].map(async (extension) => buffer((await blobs.read(`${folderOf(id)}/${id}.${extension}`)).body)),
  )
  return checkedKept(id, (record as Buffer).toString(), bytes as Buffer)
}

test.each(RUNTIMES)(
  'packs of Node and of a killed %s server have each message with 250 once, and whole',
  async (runtime) => {
    await using scratch = await Scratch.make()
    const store = scratch.join('mail')
    const seed = Date.now() % 2 ** 31
    const random = new Random(seed)
    const load = new Load(seed)
    const deleted = new Set<string>()
    const blobs = fs(store, { layout: 'packed' })

    await using steady = await serveMail({ store })
    load.start(steady.port, SESSIONS)
    for (let round = 0; round < ROUNDS; round++) {
      await using server = await serveMail({ command: COMMANDS[runtime], store })
      load.start(server.port, SESSIONS)
      await new Promise((resolve) => setTimeout(resolve, random.between(LEAST_MS, MOST_MS)))
      // On a slow machine no message may have been answered yet, but the test needs one to delete.
      await expect.poll(() => load.answered.length, { timeout: 30_000 }).toBeGreaterThan(deleted.size)
      expect(await server.end('SIGKILL')).toBe('SIGKILL')
      // Other processes list and delete mail.
      for (const id of (await keptIds(fs(store, { writable: false }))).slice(-5)) await readKept(blobs, id)
      const { id } = load.answered.findLast((sent) => !deleted.has(sent.id as string)) ?? {}
      expect((await posternOver(store, ['delete', id as string])).code).toBe(0)
      deleted.add(id as string)
      // No writer is slower than this.
      await mailStore(fs(store)).sweep({ olderThanMs: 60_000 })
    }
    expect(steady.isRunning).toBe(true)
    await load.over()
    expect(await steady.end('SIGTERM')).toBe(0)

    const { answered, sent } = load
    const numbers = await expectKept(load, await keptIds(blobs), (id) => readKept(blobs, id), { deleted, seed })
    expect(load.unexpected).toEqual([])
    expect(answered.length).toBeGreaterThan(10 * ROUNDS)
    console.info(
      `packs, ${runtime} killed beside Node: seed ${seed}, ${ROUNDS} kills, ${sent.length} sent, ${answered.length} answered 250, ` +
        `${numbers.size} found and ${deleted.size} deleted, none missing, none torn; ` +
        `${(await filesIn(store)).filter((file) => file.includes('.pack-')).length} packs`,
    )
    // Once all mail is deleted, no file is left.
    const mail = mailStore(blobs)
    await Promise.all([...numbers.values()].map((id) => mail.delete(id)))
    await mail.sweep({ olderThanMs: 0 })
    expect(await filesIn(store)).toEqual([])
  },
  120_000 + asked * 6_000,
)
