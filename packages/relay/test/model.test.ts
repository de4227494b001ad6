/** Random calls to queues, in any order, with crashes between them: nothing is lost, and nothing is claimed twice within a lease. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Queue } from '@postern/relay'
import { memoryQueue } from '@postern/relay/memory'
import { openNatsQueue } from '@postern/relay/nats'
import { openSqliteQueue } from '@postern/relay/sqlite'
import { NATS } from '../../../test/kit/abilities.ts'
import { NatsServer } from '../../../test/kit/nats-server.ts'
import { testWith } from '../../../test/kit/need.ts'
import { isThorough } from '../../../test/kit/sample.ts'
import { Scratch } from '../../../test/kit/scratch.ts'
import { type Call, Model } from './model.ts'

const id = fc.nat(9)
const which = fc.nat(20)
const ms = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1_000 }))
const state = fc.constantFrom('pending' as const, 'relayed' as const, 'delivered' as const, 'failed' as const)
const destinations = fc.array(fc.nat(3), { minLength: 1, maxLength: 4 })

const anyCall: fc.Arbitrary<Call> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ call: fc.constant('add' as const), id, destinations, heldMs: ms }) },
  {
    weight: 5,
    arbitrary: fc.record({
      call: fc.constant('claim' as const),
      max: fc.integer({ min: 1, max: 6 }),
      most: fc.integer({ min: 1, max: 3 }),
      leaseMs: fc.integer({ min: 1, max: 600 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      call: fc.constant('settle' as const),
      which,
      states: fc.array(state, { minLength: 1, maxLength: 3 }),
      waitMs: ms,
      removes: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ call: fc.constantFrom('release' as const, 'renew' as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({
      call: fc.constantFrom('hold' as const, 'unhold' as const, 'retry' as const, 'remove' as const),
      id,
    }),
  },
  { weight: 2, arbitrary: fc.record({ call: fc.constant('wait' as const), ms }) },
  { weight: 1, arbitrary: fc.record({ call: fc.constant('crash' as const) }) },
)

const calls = fc.array(anyCall, { maxLength: 60, size: 'max' })

test('a queue in memory answers as the model does', async () => {
  const play = fc.asyncProperty(calls, (made) => new Model(memoryQueue()).play(made))
  await fc.assert(play, { numRuns: isThorough ? 3_000 : 300 })
})

test('a queue in a file answers as the model does, also after crashes', async () => {
  await using scratch = await Scratch.make()
  let runs = 0
  const play = fc.asyncProperty(calls, async (made) => {
    const path = scratch.join(`queue-${runs++}`)
    const model = new Model(await openSqliteQueue(path), async (queue) => {
      await queue.close()
      return openSqliteQueue(path)
    })
    try {
      await model.play(made)
    } finally {
      await model.queue.close()
    }
  })
  await fc.assert(play, { numRuns: isThorough ? 500 : 60 })
  expect(runs).toBeGreaterThan(0)
})

testWith(
  [NATS],
  'a queue in NATS answers as the model does, also when it is opened again',
  async () => {
    await using server = await NatsServer.start()
    let runs = 0
    const play = fc.asyncProperty(calls, async (made) => {
      const stream = `queue-${runs++}`
      const open = (): Promise<Queue> => openNatsQueue({ servers: [server.url], stream })
      const crash = async (queue: Queue): Promise<Queue> => {
        await queue.close()
        return open()
      }
      const model = new Model(await open(), crash, false)
      try {
        await model.play(made)
      } finally {
        await model.queue.close()
      }
    })
    await fc.assert(play, { numRuns: isThorough ? 300 : 30 })
    expect(runs).toBeGreaterThan(0)
  },
  300_000,
)
