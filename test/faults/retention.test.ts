/**
 * Removes mail while servers take in mail under load: a server does at its start, and two `postern sweep` processes do again and
 * again. In the end exactly the newest messages that fit are kept, and each is whole.
 */
import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { SocketClient } from '../kit/client/socket-client.ts'
import { sendEnvelope } from '../corpus/send.ts'
import { posternOver, serveMail } from '../kit/postern.ts'
import { filesIn, folderOf, idIn, readAll, readKept, sha256 } from '../peers/store.ts'
import { Scratch } from '../kit/scratch.ts'
import { Load, numberOf } from './load.ts'

const SESSIONS = 8
const KEEP_COUNT = 60
const KEEP_BYTES = 4 * 1024 * 1024
const KEEP = ['--keep-count', String(KEEP_COUNT), '--keep-bytes', String(KEEP_BYTES)]
/** Sessions are short, so a sweep may remove files younger than a day: from twice the sum of both limits on. */
const TIMES = ['--session-timeout-ms', '4m', '--hook-timeout-ms', '1m']
const SWEEP = ['sweep', ...TIMES, '--older-than', '10m', '--json', ...KEEP]
/** More bytes than the trace header and the layout add to a message. */
const OVERHEAD_BYTES = 1000
/** Too young for the server's own sweep. */
const HOURS_AGO = new Date(Date.now() - 10 * 3_600_000)

interface Removed {
  readonly swept: { readonly messages: number; readonly temporary: number }
  readonly expired: { readonly messages: number; readonly bytes: number }
}

async function sweep(store: string): Promise<Removed> {
  const { code, stdout, stderr } = await posternOver(store, SWEEP)
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout.toString()) as Removed
}

/** Files as a killed server leaves them, some hours old. */
async function leave(store: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await mkdir(dirname(join(store, name)), { recursive: true })
    await writeFile(join(store, name), name)
    await utimes(join(store, name), HOURS_AGO, HOURS_AGO)
  }
}

test('under load and with concurrent sweeps, exactly the newest messages that fit are kept, and each is whole', async () => {
  await using scratch = await Scratch.make()
  const store = scratch.join('mail')
  const seed = Date.now() % 2 ** 31
  const load = new Load(seed)
  {
    await using filling = await serveMail({ store, flags: TIMES })
    load.start(filling.port, SESSIONS)
    await expect.poll(() => load.answered.length, { timeout: 60_000 }).toBeGreaterThan(2 * KEEP_COUNT)
    await load.over()
    expect(await filling.end('SIGTERM')).toBe(0)
  }
  const orphan = idOfOrphan()
  const leftovers = [`${folderOf(orphan)}/${orphan}.eml`, '.tmp/1-1']

  await using server = await serveMail({ store, flags: [...TIMES, ...KEEP] })
  load.start(server.port, SESSIONS)
  await leave(store, leftovers)
  const byServer = () => server.log.find(({ message }) => message.includes('past the retention limits'))
  // Checks this before the other processes start, because they might leave the server no message to remove.
  await expect.poll(byServer, { timeout: 60_000, message: 'removed by the server itself' }).toBeDefined()
  expect(byServer()?.['messages']).toBeGreaterThanOrEqual(KEEP_COUNT)
  const removed: Removed[] = []
  for (let round = 0; round < 2; round++) removed.push(...(await Promise.all([sweep(store), sweep(store)])))
  await load.over()

  // This message is in progress during the other sweeps, and is the last one.
  using slow = await SocketClient.ready(server.port)
  const text = `X-Slow: yes\r\n\r\n${'slow\r\n'.repeat(40_000)}`
  await sendEnvelope(slow, {})
  await slow.command('DATA', 354)
  await slow.send(text.slice(0, 100_000))
  await expect.poll(async () => (await filesIn(store)).some((file) => file.startsWith('.tmp/'))).toBe(true)
  removed.push(...(await Promise.all([sweep(store), sweep(store)])))
  await slow.send(`${text.slice(100_000)}.\r\n`)
  const slowId = idIn((await slow.expect(250)).text)
  await sweep(store)

  expect(load.unexpected).toEqual([])
  const kept = await readAll(store)
  const sent = new Map(load.sent.map((each) => [each.number, each]))
  for (const message of kept.filter(({ record }) => record.id !== slowId)) {
    expect(sha256(message.bytes), `seed ${seed}`).toBe(sent.get(numberOf(message))?.sha256)
  }
  expect((await readKept(store, slowId)).bytes.toString('latin1')).toBe(text)
  const all = [...load.answered.map(({ id }) => id as string), slowId].toSorted()
  expect(
    kept.map(({ record }) => record.id),
    `seed ${seed}`,
  ).toEqual(all.slice(-kept.length))
  const bytes = kept.reduce((sum, { stored }) => sum + stored.length, 0)
  expect(kept.length).toBeLessThanOrEqual(KEEP_COUNT)
  expect(bytes).toBeLessThanOrEqual(KEEP_BYTES)
  // One more message would exceed the limit.
  const next = load.answered.find(({ id }) => id === all.at(-kept.length - 1))
  expect(kept.length === KEEP_COUNT || bytes + (next?.byteLength ?? 0) + OVERHEAD_BYTES > KEEP_BYTES).toBe(true)

  expect(await filesIn(store)).toHaveLength(2 * kept.length)
  const swept = removed.reduce((sum, { swept: { messages, temporary } }) => sum + messages + temporary, 0)
  expect(swept).toBeGreaterThanOrEqual(leftovers.length)
  console.info(
    `retention under load: seed ${seed}, ${all.length} answered 250, ${kept.length} kept with ${bytes} bytes; removed: ` +
      `${String(byServer()?.['messages'])} by the server, by sweeps ${removed.map(({ expired }) => expired.messages).join(', ')}`,
  )
}, 120_000)

function idOfOrphan(): string {
  let rest = HOURS_AGO.getTime()
  let id = '0000000000000000'
  for (let digits = 0; digits < 10; digits++, rest = Math.floor(rest / 32)) {
    id = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'.charAt(rest % 32) + id
  }
  return id
}
