/**
 * kill -9 at any moment loses no message that was reported as saved, with two writers on one directory. (power-cut.test.ts
 * tests what a power cut may lose.)
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mailStore } from '@postern/storage'
import { fs, type FsLayout } from '@postern/storage/fs'
import { expect, test } from 'vitest'
import { keysIn } from './blobs.ts'
import { Daemon } from '../../../test/kit/daemon.ts'
import { isThorough } from '../../../test/kit/sample.ts'
import { sleep } from '../../../test/kit/waiting.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { allPages, idsOf } from '../../../test/contracts/mail/opened.ts'

const WRITER = fileURLToPath(new URL('crash-writer.ts', import.meta.url))
/** `KILL_ROUNDS` as in test/faults/kill.test.ts. */
const KILLS = Number(process.env['KILL_ROUNDS'] ?? (isThorough ? 8 : 4))

const parent = temporaryDirectory()

test.each(['files', 'packed'] as const)(
  `%s: after ${KILLS} kills at random moments, what was printed is there and whole`,
  { timeout: 60_000 + KILLS * 2_000 },
  async (layout) => {
    const directory = join(parent, layout)
    const promised = new Set<string>()
    let left = KILLS
    const killing = async (): Promise<void> => {
      while (left-- > 0) {
        for (const id of await killedWriter(directory, layout, Math.random() * 250)) promised.add(id)
      }
    }
    await Promise.all([killing(), killing()])
    expect(promised.size).toBeGreaterThan(KILLS)

    const store = fs(directory)
    const mail = mailStore(store)
    const listed = new Set<string>()
    for (const bounced of [false, true]) {
      for (const page of await allPages(mail, 500, bounced)) {
        expect(page.corrupt).toEqual([])
        for (const id of idsOf(page)) listed.add(id)
      }
    }
    // No listed message is torn, whether it was reported or not.
    for (const id of listed) await (await mail.load(id)).verify()
    expect([...promised].filter((id) => !listed.has(id))).toEqual([])

    await new Promise((resolve) => setTimeout(resolve, 20))
    const swept = await mail.sweep({ olderThanMs: 0 })
    expect(readdirSync(join(directory, '.tmp'))).toEqual([])
    const bytes = (await keysIn(store)).filter((key) => key.endsWith('.eml'))
    expect(bytes).toHaveLength(listed.size)
    for (const id of promised) await (await mail.load(id)).verify()
    console.log(
      `${layout}: ${KILLS} kills: ${promised.size} promised, ${listed.size} kept, ${swept.messages} halves and ${swept.temporary} temporary files swept`,
    )
  },
)

/** Kills the writer `delayMs` after its first line, and returns what it printed. */
async function killedWriter(directory: string, layout: FsLayout, delayMs: number): Promise<string[]> {
  const writer = await Daemon.start([process.execPath, WRITER, directory, layout], /./)
  await sleep(delayMs)
  const signal = await writer.end('SIGKILL')
  expect({ signal, complaints: writer.stderr }).toEqual({ signal: 'SIGKILL', complaints: '' })
  // The kill may cut off the last line.
  return writer.stdout.split('\n').slice(0, -1)
}
