import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Member, Members } from '../src/server/places/members.ts'

it('has the same members as a Set after any calls', () => {
  const call = fc.record({ does: fc.constantFrom('add', 'delete'), who: fc.nat(9) })
  fc.assert(
    fc.property(fc.array(call, { maxLength: 100 }), (calls) => {
      const all = Array.from({ length: 10 }, (): Member => ({ memberIndex: -1 }))
      const members = new Members<Member>()
      const expected = new Set<Member>()
      for (const { does, who } of calls) {
        const member = all[who] as Member
        if (does === 'delete') expect(members.delete(member)).toBe(expected.delete(member))
        else {
          members.add(member)
          expected.add(member)
        }
        expect(members.size).toBe(expected.size)
      }
      expect(new Set(members)).toEqual(expected)
      expect(all.filter((member) => members.has(member))).toEqual(all.filter((member) => expected.has(member)))
    }),
  )
})

it('goes over all members, even if each of them leaves meanwhile', () => {
  const members = new Members<Member>()
  for (let i = 0; i < 5; i++) members.add({ memberIndex: -1 })
  let count = 0
  for (const member of members) {
    members.delete(member)
    count++
  }
  expect([count, members.size]).toEqual([5, 0])
})
