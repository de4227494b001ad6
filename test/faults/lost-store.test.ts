/**
 * The directory of the store is lost while the server runs: unmounted, or renamed and replaced. The server answers 451
 * and never 250, writes no file into the replacement, and accepts mail again when the directory is back.
 */
import { mkdir, readdir, rename, rmdir } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { COMMANDS } from '../kit/commands.ts'
import { messageOf, MiB } from '../corpus/messages.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { sendByBdat, sendByData } from '../corpus/send.ts'
import { type Layout, posternOver, serveMail } from '../kit/postern.ts'
import { filesIn, idIn } from '../peers/store.ts'
import { Scratch } from '../kit/scratch.ts'
import { TMPFS } from '../kit/abilities.ts'
import { testWith } from '../kit/need.ts'
import { mustRun } from '../kit/tool.ts'
import { sample } from '../kit/sample.ts'

const SMALL = messageOf(2_000)
const LARGE = messageOf(MiB)
const STORES = ['fs', 'fs?layout=packed', 'maildir'] as const
const RUNTIMES = Object.keys(COMMANDS) as (keyof typeof COMMANDS)[]
const ROWS = RUNTIMES.flatMap((runtime) => STORES.map((store) => ({ runtime, store, workers: 1 })))
const TIMEOUT_MS = 60_000

/** Sends small and large messages, which must all get this reply. @returns the ids of the accepted messages */
async function sendAll(client: SocketClient, wanted: RegExp): Promise<string[]> {
  const ids: string[] = []
  for (const { bytes } of [SMALL, LARGE, SMALL]) {
    const replies = [
      await sendByData(client, { bytes }),
      await sendByBdat(client, { bytes }, { chunks: 100_000, emptyLast: true }),
    ]
    for (const { text, code } of replies) {
      expect(text).toMatch(wanted)
      if (code === 250) ids.push(idIn(text))
    }
  }
  await client.command('NOOP', 250)
  return ids
}

async function expectListed(directory: string, layout: Layout, ids: readonly string[]): Promise<void> {
  const { stdout } = await posternOver(directory, ['list', '--json'], layout)
  const { records, corrupt } = JSON.parse(stdout.toString())
  expect(corrupt).toEqual([])
  expect(records.map(({ id }: { id: string }) => id)).toEqual(ids.toSorted().toReversed())
}

interface Change {
  readonly directory: string
  lose(): Promise<void>
  bringBack(): Promise<void>
}

/** Sends mail before, during and after the loss. Checks that only mail with 250 is kept, and that both changes are logged once. */
async function expectPutOff(runtime: keyof typeof COMMANDS, store: string, change: Change, workers = 1): Promise<void> {
  const [layout, query = ''] = store.split('?') as [Layout, string?]
  const { directory } = change
  const url = `${directory}${query === '' ? '' : `?${query}`}`
  await using server = await serveMail({
    command: COMMANDS[runtime],
    store: url,
    layout,
    flags: ['--workers', String(workers)],
  })
  using client = await SocketClient.ready(server.port)
  const ids = await sendAll(client, /^250 2\.0\.0 /)
  await change.lose()
  await sendAll(client, /^451 4\.3\.0 /)
  {
    using other = await SocketClient.ready(server.port)
    await sendAll(other, /^451 4\.3\.0 /)
  }
  expect(await filesIn(directory)).toEqual([])
  await change.bringBack()
  ids.push(...(await sendAll(client, /^250 2\.0\.0 /)))
  await client.quit()
  await expectListed(directory, layout, ids)

  const told = server.log.filter(({ level }) => level !== 'INFO')
  const isBack = server.log.filter(({ message }) => message === "the store's directory is back: mail is accepted again")
  // Each worker logs it itself.
  expect(told.length).toBeGreaterThan(0)
  expect(told.length).toBeLessThanOrEqual(workers)
  expect(isBack.length).toBeGreaterThan(0)
  expect(isBack.length).toBeLessThanOrEqual(told.length)
  for (const event of told) {
    expect(event).toMatchObject({
      level: 'ERROR',
      message: "the store's directory is lost: mail gets 451 until it is back",
      reason: expect.stringContaining(`${directory} is not the directory that was opened`),
    })
  }
  expect(await server.end('SIGTERM')).toBe(0)
  // Each refusal has a log line, or is counted in one.
  const refusals = (): number =>
    server.log
      .filter(({ message, reply }) => message.startsWith('message refused') && String(reply).startsWith('451 '))
      .reduce((sum, { times }) => sum + Number(times ?? 1), 0)
  await expect.poll(refusals).toBe(12)
}

test.each([...sample(ROWS, 1), { runtime: 'node', store: 'fs?layout=packed', workers: 2 } as const])(
  '$store on $runtime, workers: $workers: the server answers 451 if its directory is renamed and replaced, and 250 once it is back',
  async ({ runtime, store, workers }) => {
    await using scratch = await Scratch.make()
    const [directory, elsewhere] = [scratch.join('mail'), scratch.join('elsewhere')]
    await expectPutOff(
      runtime,
      store,
      {
        directory,
        async lose() {
          await rename(directory, elsewhere)
          await mkdir(directory)
        },
        async bringBack() {
          expect(await readdir(directory)).toEqual([])
          await rmdir(directory)
          await rename(elsewhere, directory)
        },
      },
      workers,
    )
  },
  TIMEOUT_MS,
)

for (const { runtime, store } of sample(ROWS, 2, 1)) {
  testWith(
    [TMPFS],
    `${store} on ${runtime}: the server answers 451 while its disk is unmounted, and 250 once it is mounted again`,
    async () => {
      await using scratch = await Scratch.make()
      const [directory, elsewhere] = [scratch.join('mail'), scratch.join('elsewhere')]
      await mkdir(directory)
      await mkdir(elsewhere)
      // Bound to a second path, so that it can be mounted again with its files.
      await mustRun('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', elsewhere])
      try {
        const bind = (): Promise<unknown> => mustRun('mount', ['--bind', elsewhere, directory])
        await bind()
        await expectPutOff(runtime, store, {
          directory,
          lose: async () => void (await mustRun('umount', ['-l', directory])),
          bringBack: async () => void (await bind()),
        })
      } finally {
        await mustRun('umount', ['-l', elsewhere])
        await mustRun('umount', ['-l', directory]).catch(() => undefined)
      }
    },
    TIMEOUT_MS,
  )
}
