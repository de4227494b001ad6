/**
 * Measures the queue in SQLite with many entries: `node test/bench/queue/main.ts [ENTRIES] [DIRECTORY]`.  *
 * One destination is dead and has nine of ten entries. The others belong to 10,000 destinations. What is printed goes into
 * docs/performance.md.
 */
import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import process from 'node:process'
import { promisify } from 'node:util'
import type { Claim, NewEntry, Queue, Settlement } from '@postern/relay'
import { openSqliteQueue } from '@postern/relay/sqlite'
import { Scratch } from '../../kit/scratch.ts'

const ENTRIES = Number(process.argv[2] ?? 1_000_000)
const DESTINATIONS = 10_000
/** Callers of `add` and `settle` at the same time, as sessions are. */
const CALLERS = 200
const ROUNDS = 200
const NOW = Date.now()
/** How each runtime runs a program that is an argument. */
const EVALUATE = 'Deno' in globalThis ? ['eval'] : 'Bun' in globalThis ? ['-e'] : ['--input-type=module', '-e']

function entryAt(at: number): NewEntry {
  const destination = at % 10 === 0 ? `d${(at / 10) % DESTINATIONS}.example` : 'dead.example'
  const id = `01JDXH${String(at).padStart(20, '0')}`
  return {
    id,
    messageId: id,
    queuedAt: NOW - ENTRIES + at,
    envelope: { reversePath: `sender${at % 100}@example.com`, body: '8BITMIME', smtpUtf8: false, size: 4_096 },
    recipients: [{ address: `somebody.${at}@${destination}`, destination }],
  }
}

/** Watches how long the event loop is blocked, and how much of that time is work: the rest waits for the disk or for other programs. */
class Blocking {
  #last = performance.now()
  #lastCpu = process.cpuUsage()
  #longestMs = 0
  #longestCpuMs = 0
  readonly #timer = setInterval(() => this.#look(), 1)

  #look(): void {
    const now = performance.now()
    const { user, system } = process.cpuUsage(this.#lastCpu)
    this.#longestMs = Math.max(this.#longestMs, now - this.#last - 1)
    this.#longestCpuMs = Math.max(this.#longestCpuMs, (user + system) / 1_000)
    this.#last = now
    this.#lastCpu = process.cpuUsage()
  }

  /** Returns the longest time since the last call. */
  take(): string {
    const text = `${this.#longestMs.toFixed(0)} ms (work: ${this.#longestCpuMs.toFixed(0)} ms)`
    this.#longestMs = 0
    this.#longestCpuMs = 0
    return text
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

function rss(): string {
  return `${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`
}

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now()
  return [await work(), performance.now() - start]
}

/** Calls `work` for each number below `count`, from many callers at the same time. */
async function fromMany(count: number, work: (at: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: CALLERS }, caller))
}

function percentile(times: readonly number[], part: number): string {
  const sorted = times.toSorted((one, other) => one - other)
  return `${((sorted[Math.floor(sorted.length * part)] ?? 0) * 1_000).toFixed(0)} µs`
}

function settlementOf(claim: Claim, dueAt?: number): Settlement {
  const reply = { at: NOW, code: dueAt === undefined ? 250 : 451, enhancedCode: '', text: 'x'.repeat(40), host: 'mx' }
  const state = dueAt === undefined ? 'relayed' : 'pending'
  return { claim, results: claim.recipients.map(({ index }) => ({ index, state, reply })), dueAt }
}

async function measureClaims(queue: Queue, name: string, max: number, blocking: Blocking): Promise<void> {
  blocking.take()
  const times: number[] = []
  let count = 0
  const settling: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const options = { now: Date.now(), max, leaseMs: 600_000, maxPerDestination: 20 }
    const [claims, took] = await timed(() => queue.claim(options))
    times.push(took)
    count += claims.length
    const later = claims.map((claim, at) => settlementOf(claim, at % 2 === 0 ? NOW + 3_600_000 : undefined))
    const [, took2] = await timed(() => Promise.all(later.map((each) => queue.settle([each]))))
    settling.push(took2)
  }
  console.log(
    `${name}: ${count} claimed; a claim takes ${percentile(times, 0.5)}, 99 %: ${percentile(times, 0.99)}; ` +
      `settling takes ${percentile(settling, 0.5)}, 99 %: ${percentile(settling, 0.99)}; blocked ${blocking.take()}, RSS ${rss()}`,
  )
}

await using scratch = await Scratch.make()
const path = process.argv[3] === undefined ? scratch.join('queue.db') : `${process.argv[3]}/queue.db`
const queue = await openSqliteQueue(path)
const blocking = new Blocking()
console.log(`empty: RSS ${rss()}`)
const [, added] = await timed(() => fromMany(ENTRIES, (at) => queue.add([entryAt(at)])))
console.log(
  `add, one entry each: ${Math.round(ENTRIES / (added / 1_000))}/s; blocked ${blocking.take()}, RSS ${rss()}, ` +
    `file ${((await stat(path)).size / 2 ** 20).toFixed(0)} MiB`,
)
for (const max of [1, 20, 200]) await measureClaims(queue, `claim of ${max}`, max, blocking)
const [next, took] = await timed(() => queue.nextDueAt())
console.log(`nextDueAt: ${(took * 1_000).toFixed(0)} µs, ${next === undefined ? 'none' : 'due'}`)
const [stats, statsMs] = await timed(() => queue.stats({ maxDestinations: 1 }))
console.log(`stats: ${statsMs.toFixed(0)} ms, blocked ${blocking.take()}: ${JSON.stringify(stats)}`)
for (const [name, options] of Object.entries({
  all: {},
  'one destination': { destination: 'd5.example' },
  held: { state: 'held' },
  finished: { state: 'finished' },
} as const)) {
  const [page, ms] = await timed(() => queue.list({ ...options, limit: 100 }))
  console.log(`list, ${name}: ${ms.toFixed(1)} ms, ${page.entries.length} entries, blocked ${blocking.take()}`)
}

// What lives is claimed, settled and removed.
let sent = 0
const [, drained] = await timed(async () => {
  for (;;) {
    const options = { now: Date.now(), max: 1_000, leaseMs: 600_000 }
    const maxPerDestination = (destination: string): number => (destination === 'dead.example' ? 0 : 20)
    const claims = await queue.claim({ ...options, maxPerDestination })
    if (claims.length === 0 || sent >= 50_000) return
    sent += claims.length
    await Promise.all(
      claims.map(async (claim) => {
        await queue.settle([settlementOf(claim)])
        await queue.remove([claim.id])
      }),
    )
  }
})
console.log(
  `claim, settle and remove: ${Math.round(sent / (drained / 1_000))}/s; blocked ${blocking.take()}, RSS ${rss()}`,
)
const [, closing] = await timed(() => queue.close())
console.log(`close: ${closing.toFixed(0)} ms`)
blocking.stop()

// What the memory is without what adding has left behind.
const program = `import process from 'node:process'
  import { openSqliteQueue } from '@postern/relay/sqlite'
  const start = performance.now()
  const queue = await openSqliteQueue(${JSON.stringify(path)})
  const opening = performance.now() - start
  const before = process.memoryUsage().rss
  for (let round = 0; round < 500; round++) {
    const claims = await queue.claim({ now: Date.now(), max: 20, leaseMs: 600_000, maxPerDestination: 20 })
    await queue.settle(claims.map((claim) => ({ claim, results: [{ index: 0, state: 'relayed' }] })))
  }
  const mib = (bytes) => (bytes / 2 ** 20).toFixed(0) + ' MiB'
  console.log('a new process: opened in ' + opening.toFixed(0) + ' ms, RSS ' + mib(before) + ', after 10,000 deliveries ' +
    mib(process.memoryUsage().rss))`
const { stdout } = await promisify(execFile)(process.execPath, [...EVALUATE, program], {
  cwd: import.meta.dirname,
})
process.stdout.write(stdout)
