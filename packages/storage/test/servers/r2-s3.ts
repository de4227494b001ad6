/** The S3 API of R2 as `wrangler dev` has it on this machine. */
import { join } from 'node:path'
import type { S3Server } from './server.ts'
import { start } from './started.ts'

const PROGRAM = join(import.meta.dirname, 'r2-server.ts')

export async function startR2(): Promise<S3Server> {
  // The API creates no buckets, so all must exist at the start.
  const buckets = Array.from({ length: 200 }, (_, index) => `bucket-${index}`)
  const credentials = { accessKeyId: 'postern-tester', secretAccessKey: 'testing' }
  const settings = JSON.stringify({ buckets, credentials })
  // Drops the options that the test runner passes to node.
  const { NODE_OPTIONS: _, ...environment } = process.env
  const started = await start([process.execPath, PROGRAM, settings], environment)
  const free = buckets.values()
  return {
    ...started,
    name: 'r2',
    region: 'auto',
    credentials,
    async bucket() {
      const name = free.next().value
      if (name === undefined) throw new Error(`all ${buckets.length} buckets are used`)
      return name
    },
  }
}
