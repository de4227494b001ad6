/** Which member is removed when too many wait. Compares it with a model that looks at all members. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addressKey, type Endpoint, FairSet } from '../src/index.ts'

/** Only a few addresses, so that they repeat: two of one /64, one IPv4 address in two forms, and two connections without an address. */
const REMOTES: readonly Endpoint[] = [
  { family: 'unix', address: '', port: 0 },
  { family: 'unknown', address: '', port: 0 },
  ...['::ffff:192.0.2.1', '2001:db8::1', '2001:db8::2', '2001:db8:0:1::1'].map((address) => remote('ipv6', address)),
  ...['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((address) => remote('ipv4', address)),
]

function remote(family: 'ipv4' | 'ipv6', address: string): Endpoint {
  return { family, address, port: 1 }
}

type Step = { readonly adds: Endpoint } | { readonly deletes: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ adds: fc.constantFrom(...REMOTES) }) },
  { weight: 1, arbitrary: fc.record({ deletes: fc.nat({ max: 100 }) }) },
)

test('a full set removes the oldest member of an address that has most, and never grows over its bound', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 100 }), (max, steps) => {
      const set = new FairSet<number>(max)
      // Oldest first.
      let model: { readonly member: number; readonly address: string }[] = []
      for (const [member, one] of steps.entries()) {
        if ('deletes' in one) {
          expect(set.delete(one.deletes)).toBe(model.some((entry) => entry.member === one.deletes))
          model = model.filter((entry) => entry.member !== one.deletes)
        } else {
          model.push({ member, address: addressKey(one.adds) })
          const gone = set.add(one.adds, member)
          expect(gone === undefined).toBe(model.length <= max)
          if (gone !== undefined) {
            const counts = new Map<string, number>()
            for (const { address } of model) counts.set(address, (counts.get(address) ?? 0) + 1)
            const its = model.find((entry) => entry.member === gone)?.address ?? 'nobody'
            expect(counts.get(its)).toBe(Math.max(...counts.values()))
            expect(gone).toBe(model.find(({ address }) => address === its)?.member)
            expect(gone).not.toBe(member)
            model = model.filter((entry) => entry.member !== gone)
          }
        }
        expect(set.size).toBe(model.length)
        expect([...set]).toEqual(model.map((entry) => entry.member))
      }
    }),
  )
})

test('if addresses have equally many members, the address whose members are oldest loses one', () => {
  const set = new FairSet<string>(2)
  const at = (i: number): Endpoint => remote('ipv4', `192.0.2.${i}`)
  expect(set.add(at(1), 'first')).toBeUndefined()
  expect(set.add(at(2), 'second')).toBeUndefined()
  expect(set.add(at(3), 'third')).toBe('first')
  expect(set.add(at(4), 'fourth')).toBe('second')
  // A second member of one address gives that address most, so its older member is removed.
  expect(set.add(at(4), 'fourth')).toBeUndefined()
  expect([...set]).toEqual(['third', 'fourth'])
})
