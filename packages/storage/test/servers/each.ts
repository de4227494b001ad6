/** Tests on the S3 servers of a test file, each test in a bucket of its own. */
import { afterAll, beforeAll } from 'vitest'
import { SWIFT } from '../../../../test/kit/abilities.ts'
import { sample } from '../../../../test/kit/sample.ts'
import { testWith } from '../../../../test/kit/need.ts'
import { startR2 } from './r2-s3.ts'
import type { S3Server } from './server.ts'
import { startSwift } from './swift.ts'

type Body = (server: S3Server, bucket: string) => Promise<void>

export interface Each {
  on(name: 'r2' | 'swift', what: string, body: Body): void
  /** On one of the servers, which the seed chooses, or on both with THOROUGH=1. */
  onBoth(what: string, body: Body): void
}

/** Starts both servers for the tests of this file, swift only if it is installed. */
export function eachServer(): Each {
  const servers: { r2?: S3Server; swift?: S3Server } = {}
  beforeAll(async () => {
    const [r2, swift] = await Promise.all([startR2(), SWIFT.missing === undefined ? startSwift() : undefined])
    Object.assign(servers, { r2, swift })
  })
  afterAll(() => Promise.all(Object.values(servers).map((server) => server?.[Symbol.asyncDispose]())))
  const each: Each = {
    on(name, what, body) {
      testWith(name === 'swift' ? [SWIFT] : [], `${name}: ${what}`, async () => {
        const server = servers[name] as S3Server
        await body(server, await server.bucket())
      })
    },
    onBoth(what, body) {
      // Without swift, the other server shows it.
      const count = SWIFT.missing === undefined ? 1 : 2
      for (const name of sample(['r2', 'swift'] as const, count, what.length)) each.on(name, what, body)
    },
  }
  return each
}
