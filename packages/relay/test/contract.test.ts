/** The contract of queues inside each runtime. */
import { resolve } from 'node:path'
import { Miniflare } from 'miniflare'
import { expect, test } from 'vitest'
import { NATS } from '../../../test/kit/abilities.ts'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { NatsServer } from '../../../test/kit/nats-server.ts'
import type { Outcome } from '../../../test/contracts/outcome.ts'
import { queueRows } from '../../../test/contracts/queue/queue.ts'
import { outcomesOf, testSuites } from '../../runtime/test/program.ts'
import { bundle, COMPATIBILITY_DATE } from '../../runtime/test/workerd/serving.ts'

const PATIENCE_MS = 300_000
const OBJECT = 'Durable Object'

/** Gives an order to the Worker, in a workerd of its own. */
async function answerOfWorkerd(checks: readonly string[]): Promise<unknown> {
  const contents = await bundle(resolve(import.meta.dirname, 'contract-worker.ts'))
  const miniflare = new Miniflare({
    workers: [
      {
        config: {
          name: 'queues',
          compatibilityDate: COMPATIBILITY_DATE,
          exports: { QueueObject: { type: 'durable-object', storage: 'sqlite' } },
          env: { QUEUE: { type: 'durable-object', exportName: 'QueueObject', worker: 'queues' } },
          manifest: { mainModule: 'worker.js', modulesRoot: '/', modules: { 'worker.js': { type: 'esm', contents } } },
        },
      },
    ],
  })
  try {
    const body = JSON.stringify({ subject: OBJECT, checks })
    const answer = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body })
    return await answer.json()
  } finally {
    await miniflare.dispose()
  }
}

async function outcomesInWorkerd(): Promise<Outcome[]> {
  const checks = queueRows('workerd').flatMap(({ subject, check }) => (subject === OBJECT ? [check] : []))
  return (await answerOfWorkerd(checks)) as Outcome[]
}

async function outcomesOn(runtime: keyof typeof COMMANDS): Promise<Outcome[]> {
  const { missing } = NATS
  await using server = missing === undefined ? await NatsServer.start() : undefined
  const program = resolve(import.meta.dirname, 'contract-program.ts')
  return await outcomesOf([...COMMANDS[runtime], program, server?.url ?? missing ?? ''], PATIENCE_MS)
}

testSuites([
  ...(['node', 'deno', 'bun'] as const).map((runtime) => ({
    suite: 'queue',
    runtime,
    rows: queueRows(runtime),
    run: () => outcomesOn(runtime),
  })),
  { suite: 'queue', runtime: 'workerd', rows: queueRows('workerd'), run: outcomesInWorkerd },
])

test('a queue in a Durable Object refuses what a row has no room for, and tables of a newer version', async () => {
  expect(await answerOfWorkerd([])).toEqual([
    'entries[0].recipients: 301 for one destination are more than 300',
    'the queue of the Durable Object is of version 3; this Postern knows versions up to 1',
  ])
})
