import { Worker } from 'node:worker_threads'
import { once } from 'node:events'
import { Admission, type Endpoint } from '@postern/engine'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AdmissionMemory, admissionMemory, SharedAdmission } from '../src/workers/admission.ts'

const WORKERS = 3
/** Few, so that they meet in the table and at their bounds: two of one /64, two spellings of one IPv4 address, and who has none. */
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
  | { readonly does: 'enter'; readonly worker: number; readonly remote: Endpoint }
  | { readonly does: 'leave'; readonly nth: number }
  | { readonly does: 'die'; readonly worker: number }

const worker = fc.nat({ max: WORKERS - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ does: fc.constant('enter' as const), worker, remote: fc.constantFrom(...REMOTES) }),
  },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('leave' as const), nth: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('die' as const), worker }) },
)

test('workers together let in whom one Admission lets in, also when one of them dies', () => {
  fc.assert(
    fc.property(
      fc.record({
        maxConnections: fc.integer({ min: 1, max: 20 }),
        maxConnectionsPerAddress: fc.integer({ min: 1, max: 4 }),
      }),
      fc.array(step, { maxLength: 200 }),
      (limits, steps) => {
        const memory = admissionMemory(limits, WORKERS)
        const shared = Array.from({ length: WORKERS }, (_, i) => new SharedAdmission(memory, i))
        const model = new Admission(limits)
        let inside: { readonly worker: number; leave(): void; leaveModel(): void }[] = []
        for (const step of steps) {
          if (step.does === 'enter') {
            const leave = shared[step.worker]?.enter(step.remote)
            const leaveModel = model.enter(step.remote)
            expect(leave === undefined).toBe(leaveModel === undefined)
            if (leave !== undefined && leaveModel !== undefined) inside.push({ worker: step.worker, leave, leaveModel })
          } else if (step.does === 'leave') {
            const [one] = inside.splice(step.nth % Math.max(1, inside.length), 1)
            one?.leave()
            one?.leaveModel()
          } else {
            shared[0]?.forget(step.worker)
            for (const one of inside) if (one.worker === step.worker) one.leaveModel()
            inside = inside.filter((one) => one.worker !== step.worker)
          }
          expect(shared[1]?.total).toBe(inside.length)
        }
        for (const one of inside) one.leave()
        // Nothing is left: neither a count nor an address.
        expect(memory.words.every((word) => word === 0)).toBe(true)
      },
    ),
    { numRuns: 200 },
  )
})

test('threads at the same time never let in one too many, and leave nothing behind', async () => {
  const memory: AdmissionMemory = admissionMemory({ maxConnections: 6, maxConnectionsPerAddress: 2 }, WORKERS)
  // How many are inside, of each address and in all, as the threads count it; then the most that any of them saw; then all entries.
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

test('for as many connections as can be configured, it takes no more than it can', () => {
  const memory = admissionMemory({ maxConnections: 10_000_000, maxConnectionsPerAddress: 1 }, 2)
  expect(memory.words.byteLength).toBeLessThan(20 * 1024 * 1024)
  const admission = new SharedAdmission(memory, 1)
  expect(admission.enter(remote('ipv4', '192.0.2.1'))).toBeTypeOf('function')
  expect(admission.enter(remote('ipv4', '192.0.2.1'))).toBeUndefined()
})
