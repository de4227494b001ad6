/** The contract of stores over S3, in Node: each store has a bucket of its own. */
import { s3 } from '@postern/storage/s3'
import { afterAll, beforeAll } from 'vitest'
import type { Need } from '../../../test/kit/abilities.ts'
import { testWith } from '../../../test/kit/need.ts'
import { storeContract } from './blob-contract.ts'
import { PARTS } from './contract/backends.ts'
import { MEMORY } from './contract/machine.ts'
import type { S3Server } from './servers/server.ts'

/** Defines the tests for one server. Each server has its own test file, so that they run in parallel. @param backend the name of its column */
export function s3Contract(backend: string, start: () => Promise<S3Server>, need: Need): void {
  if (need.missing !== undefined) {
    testWith([need], `the contract of stores, ${backend}`, async () => {})
    return
  }
  let server: S3Server
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())
  const make = async () => {
    const { endpoint, region, credentials } = server
    return s3({ endpoint, region, credentials, bucket: await server.bucket() })
  }
  const ground = { memory: MEMORY, isBrief: true }
  for (const part of PARTS) storeContract(part, { backend, make, ground })
}
