/** Takes and gives back places as fast as it can, and reads how many are taken. */
import { workerData } from 'node:worker_threads'
import { type AdmissionMemory, SharedAdmission } from '../src/workers/admission.ts'

const { memory, seen, index } = workerData as { memory: AdmissionMemory; seen: Int32Array; index: number }
const ROUNDS = 2_000
const ADDRESSES = 5
const ALL = 7
const MOST_OF_ONE = 8
const MOST = 9
const ENTRIES = 10

const admission = new SharedAdmission(memory, index)
const inside: { readonly address: number; leave(): void }[] = []
for (let round = 0; round < ROUNDS; round++) {
  const address = (round * 7 + index) % ADDRESSES
  const place = admission.enter({ family: 'ipv4', address: `192.0.2.${address}`, port: 1 })
  if (place !== undefined) {
    atLeast(MOST_OF_ONE, Atomics.add(seen, address, 1) + 1)
    atLeast(MOST, Atomics.add(seen, ALL, 1) + 1)
    Atomics.add(seen, ENTRIES, 1)
    inside.push({ address, leave: () => place.leave() })
  }
  if (place === undefined || inside.length > round % 3) quit()
}
while (inside.length > 0) quit()

function quit(): void {
  const one = inside.shift()
  if (one === undefined) return
  Atomics.sub(seen, one.address, 1)
  Atomics.sub(seen, ALL, 1)
  one.leave()
}

function atLeast(at: number, value: number): void {
  for (let now = Atomics.load(seen, at); now < value; now = Atomics.load(seen, at)) {
    if (Atomics.compareExchange(seen, at, now, value) === now) return
  }
}
