import { expect, test } from 'vitest'
import { idMaker } from '../src/server/session/id.ts'

const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/
const NOW = Date.UTC(2026, 10, 21, 5, 42)

function timeOf(id: string): number {
  return Array.from(id.slice(0, 10)).reduce((time, c) => time * 32 + '0123456789ABCDEFGHJKMNPQRSTVWXYZ'.indexOf(c), 0)
}

test('ids sort in the order they were made, also within a millisecond and when the clock goes back', () => {
  const makeId = idMaker()
  const ids = Array.from({ length: 5_000 }, (_, i) => makeId(NOW + Math.floor(i / 1_000) - (i % 700 === 0 ? 50 : 0)))
  expect(ids.every((id) => ULID.test(id))).toBe(true)
  expect(ids.toSorted()).toEqual(ids)
  expect(new Set(ids).size).toBe(ids.length)
})

test('an id contains the time it was made', () => {
  const makeId = idMaker()
  expect(timeOf(makeId(NOW))).toBe(NOW)
  expect(timeOf(makeId(NOW))).toBe(NOW)
  expect(timeOf(makeId(NOW + 12_345))).toBe(NOW + 12_345)
})

test('ids of two makers share nothing but the time', () => {
  const [one, other] = [idMaker()(NOW), idMaker()(NOW)]
  expect(one.slice(0, 10)).toBe(other.slice(0, 10))
  expect(one.slice(10)).not.toBe(other.slice(10))
})
