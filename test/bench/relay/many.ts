/**
 * Measures the memory of `postern serve --relay` with a large queue: `node test/bench/relay/many.ts [MESSAGES]`. The entries are written
 * straight into the queue. All but a few thousand are due a day later. Their bytes are names of a few files in the spool, because nobody
 * reads them. What is printed goes into docs/performance.md.
 */
import { linkSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { createPool } from '@postern/engine/client'
import type { NewEntry } from '@postern/relay'
import { openSqliteQueue } from '@postern/relay/sqlite'
import { connect } from '@postern/runtime/node'
import { PASSWORD, USER } from '../../contracts/wire/user.ts'
import { messageText } from '../load/message.ts'
import type { Program } from '../programs.ts'
import { shown } from '../statistics.ts'
import { type Row, table } from '../table.ts'
import { endAfter, makeScratch } from './ending.ts'
import { fill, places, serveRelay } from './postern.ts'
import { startSink } from './sink.ts'

const MESSAGES = Number(process.argv[2] ?? 1_000_000)
/** Messages that are due at the start, and messages that come in later. */
const DUE = 5_000
const DESTINATIONS = 10_000
const BATCH = 1_000
/** ext4 allows 65,000 names of one file. */
const NAMES_PER_FILE = 60_000
const DAY_MS = 86_400_000
const PAUSE_MS = 20
/** A server that uses less CPU is idle. */
const IDLE_CPU_SECONDS = 0.03
const IDLE_MS = 1_000
const MiB = 2 ** 20

endAfter(1_800_000)
const sink = await startSink()
const rows: Row[] = []
await run()
console.log(table(['', 'RSS MiB', 'peak MiB', 'seconds'], rows))
process.exit(0)

async function run(): Promise<void> {
  await using scratch = await makeScratch()
  const directory = scratch.join('queue')
  await mkdir(directory, { mode: 0o700 })
  await fill(directory, DUE)
  await fillWaiting(directory)
  const startedAt = performance.now()
  const { program, port } = await serveRelay(scratch, directory, sink.port)
  try {
    report('it listens', program, startedAt)
    await until(() => sink.taken >= DUE)
    report(`${DUE} messages that were due are sent`, program, startedAt)
    while (!(await isIdle(program)));
    report('it has looked for what a crash has left, and is idle', program, startedAt)
    sink.taken = 0
    const submittedAt = performance.now()
    await submit(port, DUE)
    await until(() => sink.taken >= DUE)
    report(`${DUE} messages have come in and are sent`, program, submittedAt)
  } finally {
    await program.end()
  }
}

/** Adds the entries that wait, and names for their bytes. */
async function fillWaiting(directory: string): Promise<void> {
  const to = places(directory)
  await using queue = await openSqliteQueue(to.queue)
  const now = Date.now()
  let file = ''
  for (let first = 0; first < MESSAGES; first += BATCH) {
    const ids = Array.from({ length: Math.min(BATCH, MESSAGES - first) }, (_, at) => idOf(first + at))
    await queue.add(ids.map((id, at) => entryOf(id, first + at, now)))
    if (first % NAMES_PER_FILE === 0) {
      file = join(directory, `bytes-${first}`)
      writeFileSync(file, messageText(1_024, 0))
    }
    for (const id of ids) linkSync(file, join(to.spool, 'spool', id))
  }
}

function idOf(at: number): string {
  return `01JDXW${String(at).padStart(20, '0')}`
}

function entryOf(id: string, at: number, now: number): NewEntry {
  const destination = `d${at % DESTINATIONS}.example`
  return {
    id,
    messageId: id,
    queuedAt: now,
    envelope: { reversePath: USER, body: '8BITMIME', smtpUtf8: false, size: 1_024, holdUntil: now + DAY_MS },
    recipients: [{ address: `somebody.${at}@${destination}`, destination }],
  }
}

async function submit(port: number, messages: number): Promise<void> {
  const pool = createPool({
    connect: (signal) =>
      connect(`smtp://127.0.0.1:${port}`, {
        hostname: 'client.example.com',
        startTls: 'never',
        allowSecretInClear: true,
        credentials: { username: USER, password: PASSWORD },
        signal,
      }),
    maxConnections: 10,
    // Each login needs 32 MiB for scrypt.
    maxMessagesPerConnection: messages,
  })
  const message = messageText(1_024, 0)
  const envelope = { reversePath: USER, forwardPaths: ['someone@example.org'] }
  await Promise.all(Array.from({ length: messages }, () => pool.send(envelope, message)))
  await pool.close()
}

/** Reports the memory now, and the most since the last report. */
function report(moment: string, { pid }: Program, since: number): void {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kibOf = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1_024
  const seconds = (performance.now() - since) / 1_000
  rows.push([moment, shown(kibOf('VmRSS') / MiB), shown(kibOf('VmHWM') / MiB), shown(seconds)])
  console.log(rows.at(-1)?.join(', '))
  // Begins to count the most anew.
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

async function isIdle(program: Program): Promise<boolean> {
  const before = program.usage().cpuSeconds
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS))
  return program.usage().cpuSeconds - before < IDLE_CPU_SECONDS
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
}
