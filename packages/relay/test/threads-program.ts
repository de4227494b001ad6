/** The main thread owns a queue and claims, and worker threads add to it. sqlite.test.ts runs this in each runtime. */
import process from 'node:process'
import { Worker, isMainThread, workerData } from 'node:worker_threads'
import { openSqliteQueue } from '@postern/relay/sqlite'
import { all, entry } from '../../../test/contracts/queue/check.ts'

const THREADS = 3
const ENTRIES = 200

async function addAll(path: string, name: string): Promise<void> {
  await using queue = await openSqliteQueue(path, { isOwner: false })
  const adding = Array.from({ length: ENTRIES }, (_, at) => queue.add([entry(`${name}-${at}`, ['x@a.example'])]))
  await Promise.all(adding)
}

/** Settles all entries while they come. */
async function settleAll(path: string): Promise<Set<string>> {
  await using queue = await openSqliteQueue(path)
  for (let thread = 0; thread < THREADS; thread++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: [path, `t${thread}`] })
    worker.on('error', (error) => {
      console.log(error)
      process.exit(1)
    })
  }
  const settled = new Set<string>()
  while (settled.size < THREADS * ENTRIES) {
    const claims = await queue.claim({ now: Date.now() + 1e12, max: 50, leaseMs: 1e9 })
    await queue.settle(claims.map((claim) => all(claim, { state: 'relayed' })))
    for (const { id } of claims) {
      if (settled.has(id)) throw new Error(`${id} is claimed twice`)
      settled.add(id)
    }
    if (claims.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return settled
}

if (isMainThread) {
  console.log(`settled ${(await settleAll(process.argv[2] ?? '')).size}`)
  process.exit(0)
} else {
  const [path, name] = workerData as [string, string]
  await addAll(path, name)
}
