/**
 * Shares a queue in NATS with other processes without end, and says what it does in a file that all of them append to, so that the lines have
 * one order. nats.test.ts kills it, and stops the server.
 *
 * A line is a letter, the name of this process and the id of an entry. `a`: the process is about to add the entry. `A`: the promise has
 * resolved. `C`: the process has claimed it. `s`: it is about to settle it. `S`: it is settled. `R`: it is removed. `E`: a call has failed.
 */
import { appendFileSync } from 'node:fs'
import process from 'node:process'
import type { Claim } from '@postern/relay'
import { openNatsQueue } from '@postern/relay/nats'
import { entry } from '../../../test/contracts/queue/check.ts'

const [, , url = '', file = '', name = '', lease = '', limit = '', seed = ''] = process.argv
const MOST_WAITING = 200
/** Long enough that a kill finds deliveries on their way. */
const DELIVERY_MS = 100
const queue = await openNatsQueue({ servers: [url], stream: 'fleet', maxLeaseMs: Number(lease) })
let made = 0

function say(letter: string, id: string): void {
  appendFileSync(file, `${letter} ${name} ${id}\n`)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

/** Tells a failure, and waits. */
async function failed(error: unknown): Promise<void> {
  say('E', (error as { readonly code?: string }).code ?? 'unknown')
  await pause(100)
}

async function add(): Promise<void> {
  while (made < Number(limit)) {
    const id = `${seed}-${name}-${made++}`
    try {
      say('a', id)
      await queue.add([entry(id, [`x@d${made % 5}.example`, `y@d${made % 5}.example`], { queuedAt: Date.now() })])
      say('A', id)
      while ((await queue.stats()).entries > MOST_WAITING) await pause(20)
    } catch (error) {
      await failed(error)
    }
  }
}

async function deliver(claim: Claim): Promise<void> {
  const { id } = claim
  await pause(DELIVERY_MS)
  const results = claim.recipients.map(({ index }) => ({ index, state: 'relayed' as const }))
  say('s', id)
  const [settled] = await queue.settle([{ claim, results }])
  say('S', id)
  if (settled?.isFinished !== true) return
  await queue.remove([id])
  say('R', id)
}

async function work(): Promise<void> {
  for (;;) {
    try {
      const claims = await queue.claim({ now: Date.now(), max: 10, leaseMs: 600_000 })
      for (const { id } of claims) say('C', id)
      await Promise.all(claims.map(deliver))
      if (claims.length === 0) await pause(20)
    } catch (error) {
      await failed(error)
    }
  }
}

process.stdout.write('ready\n')
await Promise.all([add(), add(), add(), add(), work(), work()])
