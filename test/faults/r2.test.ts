/**
 * R2 fails below the Worker in `wrangler dev`. Checks the replies to clients, and the objects in the bucket afterwards.
 *
 * A client does not notice a fault that passes in time. If the fault stays, the client gets 451.
 */
import { isThorough } from '../kit/sample.ts'
import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Daemon } from '../kit/daemon.ts'
import { parseJsonc, wranglerEnvironment } from '../../apps/cloudflare/test/wrangler.ts'
import { MiB } from '../corpus/messages.ts'
import { freePort } from '../kit/port.ts'
import { Scratch } from '../kit/scratch.ts'
import type { BucketFault } from './faulty-bucket.ts'
import { Load } from './load.ts'
import { countRow, rowLine, type Shelf } from './row.ts'

const APP = resolve(import.meta.dirname, '../../apps/cloudflare')
/** How long the engine waits for its store. The store waits two fifths of it for the bucket. */
const HOOK_TIMEOUT_MS = 15_000
const SMALL = [1, 20_000, 300_000]
const LARGE = [10 * MiB + 10_000]
const BOTH = [...SMALL, ...LARGE]

interface Row {
  readonly faults: readonly BucketFault[]
  readonly sizes: readonly number[]
  readonly all: 'kept' | 'refused'
  /** How many messages are there although they were refused, and twice after they were sent again. Default none. */
  readonly foundThough?: number
}

const INTERNAL = 'We encountered an internal error. Please try again. (10001)'
const SLOW_DOWN = 'Reduce your concurrent request rate for the same object. (10058)'

const ROWS: Readonly<Record<string, Row>> = {
  'a burst of internal errors, one put': {
    faults: [{ calls: ['put'], kind: 'error', message: `put: ${INTERNAL}`, times: 3 }],
    sizes: SMALL,
    all: 'kept',
  },
  'internal errors, each call of an upload': {
    faults: (['create', 'part', 'complete'] as const).map((call) => ({
      calls: [call],
      kind: 'error',
      message: `${call}: ${INTERNAL}`,
      times: 2,
    })),
    sizes: LARGE,
    all: 'kept',
  },
  'too many requests': {
    faults: [{ calls: ['put', 'part'], kind: 'error', message: `put: ${SLOW_DOWN}`, times: 3 }],
    sizes: BOTH,
    all: 'kept',
  },
  'the answer of a put is lost, bytes and envelope': {
    faults: ['.eml', '.json'].map((keyEnd) => ({ calls: ['put'], keyEnd, kind: 'lost', times: 2 })),
    sizes: SMALL,
    all: 'kept',
  },
  'the answer of each call of an upload is lost': {
    faults: (['create', 'part', 'complete'] as const).map((call) => ({ calls: [call], kind: 'lost', times: 2 })),
    sizes: LARGE,
    all: 'kept',
  },
  'a byte changes on its way': {
    faults: [{ calls: ['put'], kind: 'changed', times: 3 }],
    sizes: SMALL,
    all: 'kept',
  },
  'no permission': {
    faults: [{ calls: ['put', 'create'], kind: 'error', message: 'put: Access Denied (10003)' }],
    sizes: BOTH,
    all: 'refused',
  },
  'no call is answered, and none succeeds': {
    faults: [{ calls: ['put', 'part'], kind: 'hang' }],
    sizes: BOTH,
    all: 'refused',
  },
  'each call succeeds late, and the object can be found': {
    faults: [
      { calls: ['put'], keyEnd: '.json', kind: 'late' },
      { calls: ['complete'], kind: 'late' },
    ],
    sizes: BOTH,
    all: 'refused',
  },
  // The server cannot know the outcome. If the envelope exists, the message exists, and after 451 the client sends it again.
  'each call succeeds late, and no other call is answered': {
    faults: [
      { calls: ['put'], keyEnd: '.json', kind: 'late' },
      { calls: ['head', 'delete'], keyEnd: '.json', kind: 'hang' },
    ],
    sizes: SMALL,
    all: 'refused',
    foundThough: SMALL.length,
  },
}

/** The rows that always run. The others take a minute more and run with `THOROUGH=1`. */
const USUAL = [
  'too many requests',
  'the answer of a put is lost, bytes and envelope',
  'the answer of each call of an upload is lost',
  'no permission',
  'each call succeeds late, and no other call is answered',
]
const CHOSEN = Object.entries(ROWS).filter(([name]) => isThorough || USUAL.includes(name))

let scratch: Scratch
let wrangler: Daemon
let smtp: number
let http: number
const load = new Load(1)

const shelf: Shelf = {
  keys: async () => (await (await ask('/keys')).json()) as string[],
  read: async (key) => Buffer.from(await (await ask(`/blob?${encodeURIComponent(key)}`)).arrayBuffer()),
}

async function ask(path: string, init?: RequestInit): Promise<Response> {
  const response = await fetch(`http://127.0.0.1:${http}${path}`, init)
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return response
}

/** @returns how many calls met the previous faults. */
async function setFaults(faults: readonly BucketFault[]): Promise<number> {
  const answer = await ask('/fault', { method: 'POST', body: JSON.stringify(faults) })
  return ((await answer.json()) as { hits: number }).hits
}

beforeAll(async () => {
  scratch = await Scratch.make()
  smtp = await freePort()
  http = await freePort()
  const config = parseJsonc(await readFile(resolve(APP, 'wrangler.jsonc'), 'utf8'))
  const file = scratch.join('wrangler.json')
  const vars = {
    POSTERN_HOSTNAME: 'mx.postern.example',
    POSTERN_DOMAINS: '*',
    POSTERN_HOOK_TIMEOUT_MS: HOOK_TIMEOUT_MS,
  }
  const connect = [{ protocol: 'tcp', port: smtp, address: '127.0.0.1' }]
  await writeFile(file, JSON.stringify({ ...config, main: resolve(APP, 'test/faulty.ts'), vars, connect }))
  const flags = ['--port', String(http), '--ip', '127.0.0.1', '--persist-to', scratch.join('state')]
  wrangler = await Daemon.start(['wrangler', 'dev', '--config', file, ...flags], /Ready on/, {
    env: wranglerEnvironment(),
    isGroup: true,
  })
})
afterAll(async () => {
  await wrangler?.[Symbol.asyncDispose]()
  await scratch?.[Symbol.asyncDispose]()
})

test.each(CHOSEN)(
  '%s',
  async (name, { faults, sizes, all, foundThough = 0 }) => {
    const before = (await countRow([], load, shelf)).orphans
    await setFaults(faults)
    const batch = await load.send(smtp, sizes)
    expect(await setFaults([])).toBeGreaterThan(0)
    const told = await countRow(batch, load, shelf)
    console.info(rowLine('R2', name, { ...told, orphans: told.orphans - before }))
    expect(told).toMatchObject({
      sent: sizes.length,
      kept: all === 'kept' ? sizes.length : 0,
      refused451: all === 'kept' ? 0 : sizes.length,
      found: all === 'kept' ? sizes.length : foundThough,
      duplicates: 0,
    })
    if (all === 'kept') expect(told.orphans).toBe(before)

    const refused = batch.filter(({ id }) => id === undefined)
    await load.sendAgain(smtp, refused)
    expect(await countRow(batch, load, shelf)).toMatchObject({
      kept: sizes.length,
      found: sizes.length,
      duplicates: foundThough,
      orphans: told.orphans,
    })
  },
  180_000,
)
