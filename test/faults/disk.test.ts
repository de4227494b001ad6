/** The disk fails: it is full, out of inodes, read-only or gone. The client gets a refusal, never 250, until the disk works again. */
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test as every } from 'vitest'
import { messageOf, MiB } from '../corpus/messages.ts'
import type { ClientReply } from '../kit/client/reply.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { sendByBdat, sendByData } from '../corpus/send.ts'
import { posternOver, serveMail } from '../kit/postern.ts'
import { difference, filesIn, idIn, keptIds, readAll, readKept } from '../peers/store.ts'
import { Scratch } from '../kit/scratch.ts'
import { TMPFS } from '../kit/abilities.ts'
import { testWith as everyWith } from '../kit/need.ts'
import { SmallDisk } from './tmpfs.ts'
import { partly } from '../kit/partly.ts'

/** Each run makes one in two of the tests without a table. */
const test = partly(every)
const testWith = partly(everyWith)

const SMALL = messageOf(2_000)
const LARGE = messageOf(MiB)

/** Sends a message by DATA and one by BDAT, which must both get this reply. @returns the ids of the accepted messages. */
async function sendBoth(client: SocketClient, bytes: Buffer, wanted: RegExp): Promise<string[]> {
  const replies = [
    await sendByData(client, { bytes }),
    await sendByBdat(client, { bytes }, { chunks: 100_000, emptyLast: true }),
  ]
  for (const { text } of replies) expect(text).toMatch(wanted)
  await client.command('NOOP', 250)
  return replies.filter(({ code }) => code === 250).map(({ text }) => idIn(text))
}

/** Checks that exactly these messages are there and whole, and that no other file is left. */
async function expectOnly(store: string, ids: readonly string[]): Promise<void> {
  expect(await keptIds(store)).toEqual(ids.toSorted())
  for (const id of ids) {
    const { bytes } = await readKept(store, id)
    expect(difference(bytes, bytes.length === SMALL.bytes.length ? SMALL.bytes : LARGE.bytes)).toBeUndefined()
  }
  expect(await filesIn(store)).toHaveLength(2 * ids.length)
  const listed = JSON.parse((await posternOver(store, ['list', '--json'])).stdout.toString())
  expect(listed.corrupt).toEqual([])
  expect(listed.records.map(({ id }: { id: string }) => id)).toEqual(ids.toSorted().toReversed())
}

testWith(
  [TMPFS],
  'a full disk makes the server answer 452 4.3.1, and 250 in the same session once there is room',
  async () => {
    await using disk = await SmallDisk.mount('size=8m')
    const store = join(disk.path, 'mail')
    await using server = await serveMail({ store })
    using client = await SocketClient.ready(server.port)
    const filler = join(disk.path, 'filler')

    const ids = await sendBoth(client, LARGE.bytes, /^250 2\.0\.0 /)
    // A little space is left: enough to begin a large message, but not to finish it.
    await writeFile(filler, Buffer.alloc(5 * MiB + MiB / 2))
    await sendBoth(client, LARGE.bytes, /^452 4\.3\.1 /)
    await sendBoth(client, LARGE.bytes, /^452 4\.3\.1 /)
    await expectOnly(store, ids)
    ids.push(...(await sendBoth(client, SMALL.bytes, /^250 2\.0\.0 /)))

    // No space is left.
    await writeFile(join(disk.path, 'more'), Buffer.alloc(4 * MiB)).catch(() => {})
    await sendBoth(client, SMALL.bytes, /^452 4\.3\.1 /)
    await sendBoth(client, LARGE.bytes, /^452 4\.3\.1 /)
    await expectOnly(store, ids)

    await truncate(filler)
    await rm(join(disk.path, 'more'))
    ids.push(...(await sendBoth(client, SMALL.bytes, /^250 2\.0\.0 /)))
    ids.push(...(await sendBoth(client, LARGE.bytes, /^250 2\.0\.0 /)))
    await expectOnly(store, ids)
    await client.quit()
  },
)

testWith(
  [TMPFS],
  'if the disk fills while many clients send, messages with 250 are whole, and the others get 452',
  async () => {
    await using disk = await SmallDisk.mount('size=8m')
    const store = join(disk.path, 'mail')
    await using server = await serveMail({ store })
    const bytes = messageOf(300_000).bytes
    // All concurrent messages fit. If they did not, perhaps none would ever be whole.
    const replies: ClientReply[] = []
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        using client = await SocketClient.ready(server.port)
        for (let sent = 0; sent < 5; sent++) replies.push(await sendByData(client, { bytes }))
        await client.quit()
      }),
    )
    const accepted = replies.filter(({ code }) => code === 250).map(({ text }) => idIn(text))
    const refused = replies.filter(({ text }) => text.startsWith('452 4.3.1 '))
    expect(accepted.length + refused.length).toBe(40)
    expect(accepted.length).toBeGreaterThan(0)
    expect(refused.length).toBeGreaterThan(0)
    const kept = await readAll(store)
    expect(kept.map(({ record }) => record.id)).toEqual(accepted.toSorted())
    for (const one of kept) expect(difference(one.bytes, bytes)).toBeUndefined()
    console.info(`full disk: ${accepted.length} kept, ${refused.length} answered 452`)
  },
)

testWith(
  [TMPFS],
  'a disk without free inodes makes the server answer 452 4.3.1, and 250 once there are some',
  async () => {
    await using disk = await SmallDisk.mount('size=8m,nr_inodes=40')
    const store = join(disk.path, 'mail')
    await using server = await serveMail({ store })
    using client = await SocketClient.ready(server.port)
    const ids = await sendBoth(client, SMALL.bytes, /^250 2\.0\.0 /)
    for (let i = 0; i < 40; i++) await writeFile(join(disk.path, `filler${i}`), '').catch(() => {})
    await sendBoth(client, SMALL.bytes, /^452 4\.3\.1 /)
    await sendBoth(client, LARGE.bytes, /^452 4\.3\.1 /)
    for (let i = 0; i < 40; i++) await rm(join(disk.path, `filler${i}`), { force: true })
    ids.push(...(await sendBoth(client, SMALL.bytes, /^250 2\.0\.0 /)))
    await expectOnly(store, ids)
  },
)

testWith([TMPFS], 'a read-only disk makes the server answer 451 4.3.0, and 250 once it is writable', async () => {
  await using disk = await SmallDisk.mount('size=16m')
  const store = join(disk.path, 'mail')
  await using server = await serveMail({ store })
  using client = await SocketClient.ready(server.port)
  const ids = await sendBoth(client, LARGE.bytes, /^250 2\.0\.0 /)
  await disk.remount('ro')
  await sendBoth(client, SMALL.bytes, /^451 4\.3\.0 /)
  await sendBoth(client, LARGE.bytes, /^451 4\.3\.0 /)
  // Listing works without permission to write, deleting does not.
  await expectOnly(store, ids)
  const refused = await posternOver(store, ['delete', ids[0] as string])
  expect(refused.stderr.toString()).toMatch(
    /^postern: --store fs:.*: its file system is read-only; give a writable directory/,
  )
  expect(refused.code).toBe(2)
  await disk.remount('rw')
  ids.push(...(await sendBoth(client, SMALL.bytes, /^250 2\.0\.0 /)))
  await expectOnly(store, ids)
})

test('if its directory is removed, the server answers 451, never 250, until it is started with a new one', async () => {
  await using scratch = await Scratch.make()
  const store = scratch.join('mail')
  {
    await using server = await serveMail({ store })
    using client = await SocketClient.ready(server.port)
    await sendBoth(client, SMALL.bytes, /^250 2\.0\.0 /)
    await rm(store, { recursive: true })
    await sendBoth(client, SMALL.bytes, /^451 4\.3\.0 /)
    await sendBoth(client, LARGE.bytes, /^451 4\.3\.0 /)
    expect(await keptIds(store)).toEqual([])
    // The new directory could also be the one below a lost mount.
    await mkdir(store)
    await sendBoth(client, SMALL.bytes, /^451 4\.3\.0 /)
    expect(await filesIn(store)).toEqual([])
  }
  await using server = await serveMail({ store })
  using client = await SocketClient.ready(server.port)
  await expectOnly(store, await sendBoth(client, SMALL.bytes, /^250 2\.0\.0 /))
})

test('a file in place of a folder makes the server answer 451, never 250', async () => {
  await using scratch = await Scratch.make()
  const store = scratch.join('mail')
  await using server = await serveMail({ store })
  using client = await SocketClient.ready(server.port)
  await writeFile(join(store, String(new Date().getUTCFullYear())), 'not a folder')
  await sendBoth(client, SMALL.bytes, /^451 4\.3\.0 /)
  await sendBoth(client, LARGE.bytes, /^451 4\.3\.0 /)
  await rm(join(store, String(new Date().getUTCFullYear())))
  await expectOnly(store, await sendBoth(client, SMALL.bytes, /^250 2\.0\.0 /))
})
