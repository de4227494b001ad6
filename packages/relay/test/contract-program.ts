/**
 * Runs the contract of queues on the runtime that runs this: `node`, `deno run -A` or `bun run`. The argument is the URL of a NATS server, or
 * says why there is none.
 */
import process from 'node:process'
import { memoryQueue } from '@postern/relay/memory'
import { openNatsQueue } from '@postern/relay/nats'
import { openSqliteQueue } from '@postern/relay/sqlite'
import type { Queue } from '@postern/relay'
import type { Ground } from '../../../test/contracts/queue/check.ts'
import { queueOutcomes } from '../../../test/contracts/queue/queue.ts'
import { report } from '../../../test/contracts/outcome.ts'
import { Scratch } from '../../../test/kit/scratch.ts'

const SMALL_BYTES = 500_000
const SMALL_ENTRIES = 1_000

const scratch = await Scratch.make()
const paths = new Map<Queue, string>()

async function openAt(path: string, isSmall: boolean): Promise<Queue> {
  const queue = await openSqliteQueue(path, isSmall ? { maxBytes: SMALL_BYTES } : {})
  paths.set(queue, path)
  return queue
}

const [, , server = ''] = process.argv
const streams = new Map<Queue, string>()

async function openStream(stream: string, isSmall: boolean): Promise<Queue> {
  const queue = await openNatsQueue({ servers: [server], stream, ...(isSmall && { maxEntries: SMALL_ENTRIES }) })
  streams.set(queue, stream)
  return queue
}

const nats: Ground = {
  make: ({ isSmall = false } = {}) => openStream(`queue-${crypto.randomUUID()}`, isSmall),
  reopen: async (queue) => {
    await queue.close()
    return openStream(streams.get(queue) ?? '', false)
  },
}

await report(
  queueOutcomes({
    memory: { make: async ({ isSmall = false } = {}) => memoryQueue(isSmall ? { maxEntries: SMALL_ENTRIES } : {}) },
    NATS: server.startsWith('nats:') ? nats : server,
    SQLite: {
      make: ({ isSmall = false } = {}) => openAt(scratch.join(`${paths.size}-${crypto.randomUUID()}`), isSmall),
      reopen: async (queue) => {
        await queue.close()
        return openAt(paths.get(queue) ?? '', false)
      },
    },
  }),
)
await scratch[Symbol.asyncDispose]()
// Does not wait for work that a check left open.
process.exit(0)
