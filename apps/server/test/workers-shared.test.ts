import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { Admission, type Endpoint, type Place } from '@postern/engine'
import { Allowance } from '@postern/storage'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AdmissionMemory, admissionMemory, SharedAdmission } from '../src/workers/admission.ts'
import { keyedHash } from '../src/workers/hash.ts'
import { makeShared, sharedByteCount } from '../src/workers/shared.ts'
import { run } from '../../../test/kit/postern.ts'

const WORKERS = 3
/**
 * Few addresses, so that they meet in the table and at their bounds: two of one /64, two spellings of one IPv4 address,
 * and a client without an address.
 */
const REMOTES: readonly Endpoint[] = [
  { family: 'unix', address: '', port: 0 },
  ...['::ffff:192.0.2.1', '2001:db8::1', '2001:db8::2', '2001:db8:0:1::1', 'fe80::1%eth0'].map((address) =>
    remote('ipv6', address),
  ),
  ...Array.from({ length: 20 }, (_, i) => remote('ipv4', `192.0.2.${i}`)),
]

function remote(family: 'ipv4' | 'ipv6', address: string): Endpoint {
  return { family, address, port: 1 }
}

type Step =
  | {
      readonly does: 'enter'
      readonly worker: number
      readonly remote: Endpoint
      readonly isSubmission: boolean
      /** The connection whose place it wants, if not a free place. */
      readonly instead: number | undefined
    }
  | { readonly does: 'leave'; readonly nth: number }
  | { readonly does: 'die'; readonly worker: number }

const worker = fc.nat({ max: WORKERS - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant('enter' as const),
      worker,
      remote: fc.constantFrom(...REMOTES),
      isSubmission: fc.boolean(),
      instead: fc.option(fc.nat(), { nil: undefined }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('leave' as const), nth: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('die' as const), worker }) },
)

test('workers together admit the same connections as one Admission, also if one of them dies', () => {
  fc.assert(
    fc.property(
      fc.record({
        maxConnections: fc.integer({ min: 1, max: 30 }),
        maxConnectionsPerAddress: fc.integer({ min: 1, max: 4 }),
        keepsForSubmission: fc.boolean(),
      }),
      fc.array(step, { maxLength: 200 }),
      (limits, steps) => {
        const memory = admissionMemory(limits, WORKERS)
        const shared = Array.from({ length: WORKERS }, (_, i) => new SharedAdmission(memory, i))
        const model = new Admission(limits)
        let inside: { readonly worker: number; readonly place: Place; readonly inModel: Place }[] = []
        for (const step of steps) {
          if (step.does === 'enter') {
            const { worker, remote, isSubmission } = step
            const own = inside.filter((one) => one.worker === worker)
            const instead = step.instead === undefined ? undefined : own[step.instead % Math.max(1, own.length)]
            const place = shared[worker]?.enter(remote, isSubmission, instead?.place)
            const inModel = model.enter(remote, isSubmission, instead?.inModel)
            expect(place === undefined).toBe(inModel === undefined)
            if (place !== undefined && inModel !== undefined) {
              inside = inside.filter((one) => one !== instead)
              inside.push({ worker, place, inModel })
            }
            expect(shared[0]?.count(remote)).toBe(model.count(remote))
          } else if (step.does === 'leave') {
            const [one] = inside.splice(step.nth % Math.max(1, inside.length), 1)
            one?.place.leave()
            one?.inModel.leave()
            // If a place is given back twice, it counts once.
            one?.place.leave()
            one?.inModel.leave()
          } else {
            shared[0]?.forget(step.worker)
            for (const one of inside) if (one.worker === step.worker) one.inModel.leave()
            inside = inside.filter((one) => one.worker !== step.worker)
          }
          expect(shared[1]?.total).toBe(inside.length)
        }
        for (const one of inside) one.place.leave()
        // Nothing is left: neither a count nor an address.
        expect(memory.words.every((word) => word === 0)).toBe(true)
      },
    ),
    { numRuns: 200 },
  )
})

test('concurrent threads never exceed the limits, and give back every place', async () => {
  const memory: AdmissionMemory = admissionMemory({ maxConnections: 6, maxConnectionsPerAddress: 2 }, WORKERS)
  // First the places that are taken, for each address and in all, as the threads count them. Then the greatest number
  // that any thread saw. Then all entries.
  const seen = new Int32Array(new SharedArrayBuffer(4 * 16))
  const threads = Array.from(
    { length: WORKERS },
    (_, index) =>
      new Worker(new URL('./admission-thread.ts', import.meta.url), { workerData: { memory, seen, index } }),
  )
  const ends = await Promise.all(threads.map((thread) => once(thread, 'exit')))
  expect(ends).toEqual(threads.map(() => [0]))
  const [mostOfOne, most, entries] = seen.subarray(8)
  expect(mostOfOne).toBeLessThanOrEqual(2)
  expect(most).toBeLessThanOrEqual(6)
  expect(entries).toBeGreaterThan(100)
  expect(memory.words.every((word) => word === 0)).toBe(true)
})

test('the hash of addresses gives the results of the HalfSipHash-2-4 reference code', () => {
  const key = [0x03020100, 0x07060504] as const
  const text = Array.from({ length: 8 }, (_, i) => String.fromCharCode(i)).join('')
  const hex = [0, 1, 2, 3, 8].map((length) => {
    const hash = Buffer.alloc(8)
    keyedHash(text.slice(0, length), key).forEach((word, i) => hash.writeInt32LE(word, 4 * i))
    return hash.toString('hex')
  })
  const published = ['218d1f59b9b83cc8', 'be552412f8387315', '064f39ef7c50eb57', 'ce0f1a45f7060679', 'edfee820bce4858c']
  expect(hex).toEqual(published)
})

test('the shared memory has a bounded size for any maxConnections', () => {
  const memory = admissionMemory({ maxConnections: 10_000_000, maxConnectionsPerAddress: 1 }, 2)
  expect(memory.words.byteLength).toBeLessThan(20 * 1024 * 1024)
  const admission = new SharedAdmission(memory, 1)
  expect(admission.enter(remote('ipv4', '192.0.2.1'))).toBeDefined()
  expect(admission.enter(remote('ipv4', '192.0.2.1'))).toBeUndefined()
})

test('stores of all workers share one bound on memory, and a worker that dies gives back its part', () => {
  const shared = makeShared({ maxConnections: 1, maxConnectionsPerAddress: 1 }, 2)
  const [one, other] = [0, 1].map((worker) => new Allowance(1_000, sharedByteCount(shared, worker)).share({}))
  one?.take(600)
  expect(() => other?.take(401)).toThrow(/600 bytes of 1000/)
  other?.take(400)
  expect(() => one?.take(1)).toThrow(/1000 bytes of 1000/)
  shared.bufferedBytes[0] = 0
  other?.take(600)
  other?.give()
  expect([...shared.bufferedBytes]).toEqual([0, 0])
})

test('lines of several threads are never mixed, however long they are and however slow the reader is', async () => {
  // A pipe, because this process has none itself.
  const command = '"$0" "$1" | { sleep 0.2; cat; }'
  const { stdout } = await run('sh', ['-c', command, process.execPath, join(import.meta.dirname, 'output-program.ts')])
  const lines = stdout.trimEnd().split('\n')
  for (const letter of 'abcd') {
    const own = lines.filter((line) => line.startsWith(letter))
    expect(own.every((line, n) => line === `${letter.repeat(20_000)}${n}`)).toBe(true)
    expect(own).toHaveLength(20)
  }
})
