/** The contract of stores, inside each runtime except Node. */
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { COMMANDS } from '../../../test/kit/commands.ts'
import type { Outcome } from '../../../test/contracts/outcome.ts'
import { outcomesOf, testSuites } from '../../runtime/test/program.ts'
import { bundle } from '../../runtime/test/workerd/serving.ts'
import { BACKENDS, PARTS, type Runtime } from './contract/backends.ts'
import { withBuckets } from './contract/buckets.ts'
import { chosenChecks } from './contract/chosen.ts'
import type { Chosen, Part } from './contract/outcomes.ts'
import { type Place, placeIn } from './contract/s3.ts'
import { startR2 } from './servers/r2-s3.ts'
import type { S3Server } from './servers/server.ts'
import { isThorough } from '../../../test/kit/sample.ts'

const PATIENCE_MS = 300_000

const program = resolve(import.meta.dirname, 'contract/program.ts')

async function outcomesInWorkerd(part: Part, chosen: Chosen, places: readonly Place[]): Promise<Outcome[]> {
  const miniflare = await withBuckets(await bundle(resolve(import.meta.dirname, 'contract/worker.ts')))
  try {
    const body = JSON.stringify({ part, chosen, places, isThorough })
    const answer = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body })
    return (await answer.json()) as Outcome[]
  } finally {
    await miniflare.dispose()
  }
}

async function outcomesIn(runtime: Runtime, part: Part, chosen: Chosen): Promise<Outcome[]> {
  const places: Place[] = []
  for (const [backend, server] of servers) {
    if (BACKENDS[backend]?.[part].includes(runtime) === true) places.push(await placeIn(server, backend))
  }
  if (runtime === 'workerd') return outcomesInWorkerd(part, chosen, places)
  return outcomesOf([...COMMANDS[runtime], program, part, JSON.stringify(chosen), JSON.stringify(places)], PATIENCE_MS)
}

/** Servers by the name of the backend that uses them. */
const servers = new Map<string, S3Server>()

beforeAll(async () => void servers.set('s3 on R2', await startR2()))
afterAll(() => Promise.all([...servers.values()].map((server) => server[Symbol.asyncDispose]())))

for (const part of PARTS) {
  describe(part, () => {
    testSuites(
      (['deno', 'bun', 'workerd'] as const).map((runtime) => {
        const backends = Object.keys(BACKENDS).filter((backend) => BACKENDS[backend]?.[part].includes(runtime))
        const chosen: Chosen = Object.fromEntries(
          backends.map((backend) => [backend, chosenChecks(part, backend, runtime).map(({ name }) => name)]),
        )
        const rows = backends.flatMap((subject) => (chosen[subject] ?? []).map((check) => ({ subject, check })))
        return { suite: part, runtime, rows, run: () => outcomesIn(runtime, part, chosen) }
      }),
    )
  })
}
