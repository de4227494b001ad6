/**
 * kill -9 at any moment loses nothing that was promised, with two writers on one directory. (What a power cut may take is
 * for power-cut.test.ts.)
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mailStore } from '@postern/storage'
import { fs, type FsLayout } from '@postern/storage/fs'
import { expect, test } from 'vitest'
import { keysIn } from './blobs.ts'
import { temporaryDirectory } from '../../../test/kit/scratch.ts'
import { allPages, idsOf } from '../../../test/contracts/mail/opened.ts'

const WRITER = fileURLToPath(new URL('crash-writer.ts', import.meta.url))
/** `KILL_ROUNDS` as in test/faults/kill.test.ts. */
const KILLS = Number(process.env['KILL_ROUNDS'] ?? 8)

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
    // Never a torn one, promised or not.
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

/** What the writer printed before it was killed, `delayMs` after its first line. */
async function killedWriter(directory: string, layout: FsLayout, delayMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [WRITER, directory, layout], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let complaints = ''
  child.stdout.on('data', (data: Buffer) => {
    if (output === '') setTimeout(() => child.kill('SIGKILL'), delayMs)
    output += data.toString()
  })
  child.stderr.on('data', (data: Buffer) => (complaints += data.toString()))
  const [, signal] = (await once(child, 'close')) as [number | null, string | null]
  expect({ signal, complaints }).toEqual({ signal: 'SIGKILL', complaints: '' })
  // A line without its end was cut off by the kill.
  return output.split('\n').slice(0, -1)
}
