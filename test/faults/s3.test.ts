/**
 * The connection between a server and its S3 fails. Checks the replies to clients, and the objects in the bucket afterwards.
 *
 * A client does not notice a fault that passes within the deadlines. If the fault stays, the client gets 451, and the server removes
 * the written objects. So no refused message is listed, and a message that the client sends again is there once.
 */
import { isThorough, sample } from '../kit/sample.ts'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { COMMANDS } from '../kit/commands.ts'
import { startR2 } from '../../packages/storage/test/servers/r2-s3.ts'
import type { S3Server } from '../../packages/storage/test/servers/server.ts'
import { startSwift } from '../../packages/storage/test/servers/swift.ts'
import { type Need, SWIFT } from '../kit/abilities.ts'
import { testWith } from '../kit/need.ts'
import { Lane, type Patience } from './lane.ts'
import { type RowCounts, rowLine } from './row.ts'
import { type FaultRow, ROWS, SIZES } from './rows.ts'

interface Table {
  readonly where: string
  readonly needs: readonly Need[]
  readonly start: () => Promise<S3Server>
  readonly runtime: keyof typeof COMMANDS
  readonly rows: readonly string[]
  /** Servers with each kind of deadline. They wait most of the time, so several run at once. */
  readonly lanes: Readonly<Record<Patience, number>>
}

/** Each kind of fault. All rows take minutes more: `THOROUGH=1`. */
const USUAL = [
  'bytes: no write is answered',
  'a slow answer',
  'connections are refused for a while',
  'the answer is lost',
  'a reset in the middle of a part',
  'a few writes get 500',
  '429, Retry-After: 1',
  'a byte of the body changes',
  'expired credentials',
]
/** Rows that depend on the sockets and timers of the runtime, or on the kind of S3 server. */
const SOME = ['bytes: no write is answered', 'the answer is lost']
const SWIFT_TABLE = { needs: [SWIFT], start: startSwift }
const ONE_LANE = { long: 1, short: 1 }
const OTHER_TABLES: readonly Table[] = [
  { ...SWIFT_TABLE, where: 'swift, deno', runtime: 'deno', rows: SOME, lanes: ONE_LANE },
  { ...SWIFT_TABLE, where: 'swift, bun', runtime: 'bun', rows: SOME, lanes: ONE_LANE },
  { where: 'r2, node', needs: [], start: startR2, runtime: 'node', rows: SOME, lanes: ONE_LANE },
]
const TABLES: readonly Table[] = [
  {
    ...SWIFT_TABLE,
    where: 'swift, node',
    runtime: 'node',
    rows: isThorough ? Object.keys(ROWS) : sample(USUAL, 4),
    // More rows pass than stay.
    lanes: isThorough ? { long: 3, short: 3 } : { long: 2, short: 1 },
  },
  ...sample(OTHER_TABLES, 1),
]

/** The started servers. */
const servers = new Map<Table['start'], Promise<S3Server>>()
afterAll(async () => {
  for (const server of servers.values()) await (await server)[Symbol.asyncDispose]()
})

function serverOf({ start }: Table): Promise<S3Server> {
  const server = servers.get(start) ?? start()
  servers.set(start, server)
  return server
}

async function runRow(where: string, lane: Lane, name: string, row: FaultRow): Promise<void> {
  const before = (await lane.count([])).orphans
  await row.breaks(lane.proxy)
  const sending = Object.values(SIZES).map((sizes) => lane.send(sizes))
  if (row.mendsAfterMs !== undefined) {
    await new Promise((resolve) => setTimeout(resolve, row.mendsAfterMs))
    await lane.mend()
  }
  const batches = await Promise.all(sending)
  await lane.mend()
  await lane.settled()
  const counts: RowCounts[] = []
  for (const batch of batches) counts.push(await lane.count(batch))
  const line = (size: string, i: number): string => {
    const counted = counts[i] as RowCounts
    return rowLine(where, `${name}, ${size}`, { ...counted, orphans: Math.max(0, counted.orphans - before) })
  }
  console.info(Object.keys(SIZES).map(line).join('\n'))

  for (const [i, batch] of batches.entries()) {
    const all = batch.length
    const answered = counts[i]?.kept ?? 0
    const kept = row.all === 'kept' ? all : row.all === 'refused' ? 0 : answered
    const found = row.mayBeThere === true ? (counts[i]?.found ?? 0) : kept
    expect(found, name).toBeGreaterThanOrEqual(kept)
    const answers = { sent: all, kept, refused451: all - kept, refused452: 0 }
    expect(counts[i], name).toMatchObject({ ...answers, found, duplicates: 0 })
    await lane.sendAgain(batch)
    // Only refused messages that were kept nevertheless are there twice now.
    const duplicates = found - kept
    expect(await lane.count(batch), name).toMatchObject({ kept: all, found: all, duplicates })
  }
}

describe.each(TABLES)('$where', (table) => {
  const { where, needs, runtime, rows } = table
  const lanes: Record<Patience, Lane[]> = { long: [], short: [] }
  const allLanes = (): Lane[] => [...lanes.long, ...lanes.short]

  beforeAll(async () => {
    if (needs.some(({ missing }) => missing !== undefined)) return
    const s3 = await serverOf(table)
    const bucket = await s3.bucket()
    const command = COMMANDS[runtime]
    const opening = (['long', 'short'] as const).flatMap((patience) =>
      Array.from({ length: table.lanes[patience] }, async (_, i) => {
        lanes[patience].push(await Lane.open({ s3, bucket, prefix: `${patience}-${i}`, command, patience }))
      }),
    )
    await Promise.all(opening)
  }, 120_000)
  afterAll(async () => {
    await Promise.all(allLanes().map((lane) => lane[Symbol.asyncDispose]()))
  })

  /** Runs rows one after the other in each lane. @returns what went wrong. */
  async function runAll(patience: Patience): Promise<unknown[]> {
    const waiting = rows.filter((name) => (ROWS[name]?.all === 'kept') === (patience === 'long'))
    const failures: unknown[] = []
    const work = async (lane: Lane): Promise<void> => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
        await runRow(where, lane, name, ROWS[name] as FaultRow).catch((error: unknown) => failures.push(error))
      }
    }
    await Promise.all(lanes[patience].map(work))
    return failures
  }

  testWith(
    needs,
    'a client does not notice a short fault, and gets 451 for a long one, after which a repeated message is there once',
    async () => {
      const failures = (await Promise.all([runAll('long'), runAll('short')])).flat()
      for (const failure of failures) console.error(failure)
      expect(failures).toEqual([])
    },
    900_000,
  )

  testWith(
    needs,
    'afterwards no log has a secret, few connections are open, and a sweep removes the remains',
    async () => {
      const left = { uploads: 0, swept: 0, connections: 0, requests: 0 }
      for (const lane of allLanes()) {
        expect(lane.server.isRunning).toBe(true)
        lane.expectNoSecrets()
        left.uploads += (await lane.shelf.uploads()).length
        left.swept += await lane.sweep()
        expect(await lane.shelf.uploads()).toEqual([])
        expect((await lane.count([])).orphans).toBe(0)
        left.connections += lane.proxy.openConnections
        left.requests += lane.proxy.noted.length
        // One connection for each concurrent message, kept for the next one.
        expect(lane.proxy.openConnections).toBeLessThan(20)
      }
      console.info(`${where} | left behind`, left)
    },
    120_000,
  )
})
