/** Compares admission with a model that counts all connections again for each newcomer. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Admission, addressKey, type Endpoint, type Place } from '../src/index.ts'

/** Only a few addresses, so that they repeat. Two are in one /64, and two connections have no address. */
const REMOTES: readonly Endpoint[] = [
  { family: 'unix', address: '', port: 0 },
  { family: 'unknown', address: '', port: 0 },
  ...['2001:db8::1', '2001:db8::2', '2001:db8:0:1::1'].map((address) => remote('ipv6', address)),
  ...Array.from({ length: 12 }, (_, i) => remote('ipv4', `192.0.2.${i}`)),
]

function remote(family: 'ipv4' | 'ipv6', address: string): Endpoint {
  return { family, address, port: 1 }
}

interface Connection {
  readonly address: string
  readonly isSubmission: boolean
  readonly place: Place
}

interface Step {
  readonly remote: Endpoint
  readonly isSubmission: boolean
  /** Which connection leaves, or gives its place to the newcomer. */
  readonly nth: number
  readonly does: 'enter' | 'enter-instead' | 'leave'
}

const step: fc.Arbitrary<Step> = fc.record({
  remote: fc.constantFrom(...REMOTES),
  isSubmission: fc.boolean(),
  nth: fc.nat(),
  does: fc.constantFrom('enter', 'enter', 'enter-instead', 'leave'),
})

const limits = fc.record({
  maxConnections: fc.integer({ min: 1, max: 40 }),
  maxConnectionsPerAddress: fc.integer({ min: 1, max: 12 }),
  keepsForSubmission: fc.boolean(),
})

test('a connection is admitted exactly if the model admits it', () => {
  fc.assert(
    fc.property(limits, fc.array(step, { maxLength: 150 }), (limits, steps) => {
      const { maxConnections, maxConnectionsPerAddress, keepsForSubmission } = limits
      const admission = new Admission(limits)
      let inside: Connection[] = []
      for (const { remote, isSubmission, nth, does } of steps) {
        const other = inside[nth % Math.max(1, inside.length)]
        if (does === 'leave') {
          other?.place.leave()
          other?.place.leave()
          inside = inside.filter((one) => one !== other)
          continue
        }
        const address = addressKey(remote)
        const instead = does === 'enter-instead' ? other : undefined
        const left = inside.filter((one) => one !== instead)
        const ofAddress = address === '' ? 0 : left.filter((one) => one.address === address).length
        const kept = maxConnections < 10 ? 0 : Math.floor(maxConnections / 10)
        const forNew = ofAddress > 0 && instead === undefined ? kept : 0
        const forSubmission = keepsForSubmission && !isSubmission ? kept : 0
        const others = left.filter((one) => !one.isSubmission).length
        const mayEnter =
          ofAddress < maxConnectionsPerAddress &&
          left.length < maxConnections - forNew &&
          (forSubmission === 0 || others < maxConnections - forNew - forSubmission)
        const place = admission.enter(remote, isSubmission, instead?.place)
        expect(place !== undefined).toBe(mayEnter)
        if (place !== undefined) inside = [...left, { address, isSubmission, place }]
        for (const each of REMOTES) {
          const key = addressKey(each)
          expect(admission.count(each)).toBe(key === '' ? 0 : inside.filter((one) => one.address === key).length)
        }
      }
    }),
  )
})

test.each([
  [9, 9, 9, 9],
  [10, 8, 9, 10],
  [2_000, 1_600, 1_800, 2_000],
])(
  'of %i places, one address gets %i, new addresses fill up to %i, and submission fills all %i',
  (max, one, others, all) => {
    const admission = new Admission({ maxConnections: max, maxConnectionsPerAddress: max, keepsForSubmission: true })
    let address = 0
    const fill = (next: () => Endpoint, isSubmission: boolean): void => {
      while (admission.enter(next(), isSubmission) !== undefined) total++
    }
    let total = 0
    fill(() => remote('ipv4', '192.0.2.1'), false)
    expect(total).toBe(one)
    fill(() => remote('ipv4', `10.0.${address >> 8}.${address++ & 255}`), false)
    expect(total).toBe(others)
    fill(() => remote('ipv4', `10.1.${address >> 8}.${address++ & 255}`), true)
    expect(total).toBe(all)
  },
)

test('one address on ports for submission leaves places for new addresses, on every port', () => {
  const admission = new Admission({ maxConnections: 40, maxConnectionsPerAddress: 40, keepsForSubmission: true })
  const stranger = remote('ipv4', '192.0.2.1')
  for (const isSubmission of [false, true]) while (admission.enter(stranger, isSubmission) !== undefined);
  expect(admission.count(stranger)).toBe(36)
  for (const [i, isSubmission] of [false, true, false, true].entries()) {
    expect(admission.enter(remote('ipv4', `10.0.0.${i}`), isSubmission)).toBeDefined()
  }
})
