import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Answer } from '../src/index.ts'
import { AnswerCache } from '../src/index.ts'

function text(text: string, ttlSeconds: number = 60): Answer {
  const record = { strings: [text], text }
  return { status: 'found', records: [record], name: 'a', ttlSeconds, isAuthentic: false }
}

test('a cache keeps so many answers, and drops the one that was used longest ago', () => {
  const cache = new AnswerCache({ maxEntries: 2 })
  cache.set('a', text('a'), 0)
  cache.set('b', text('b'), 0)
  expect(cache.get('a', 1)).toEqual(text('a'))
  cache.set('c', text('c'), 2)
  expect(['a', 'b', 'c'].map((key) => cache.get(key, 3) !== undefined)).toEqual([true, false, true])
})

test('a cache keeps so many bytes, and nothing that is larger than all of them', () => {
  const cache = new AnswerCache({ maxBytes: 10_000 })
  for (let at = 0; at < 100; at++) cache.set(String(at), text('x'.repeat(1_000)), 0)
  expect(cache.bytes).toBeLessThanOrEqual(10_000)
  expect([cache.get('99', 0) !== undefined, cache.get('0', 0)]).toEqual([true, undefined])
  cache.set('99', text('x'.repeat(10_000)), 0)
  expect(cache.get('99', 0)).toBeUndefined()
})

test('a TTL has a bound, by what the answer says', () => {
  const cache = new AnswerCache({ maxTtlSeconds: 10, maxAbsentTtlSeconds: 5, failedTtlSeconds: 2 })
  const endless = 2 ** 31 - 1
  cache.set('found', text('a', endless), 0)
  cache.set('absent', { status: 'nodata', ttlSeconds: endless, isAuthentic: false }, 0)
  cache.set('failed', { status: 'failed', reason: 'servfail', detail: '' }, 0)
  const keys = ['found', 'absent', 'failed']
  const keptAt = (nowMs: number): string[] => keys.filter((key) => cache.get(key, nowMs) !== undefined)
  expect([1_999, 2_000, 5_000, 10_000].map(keptAt)).toEqual([keys, ['found', 'absent'], ['found'], []])
  expect([cache.size, cache.bytes]).toEqual([0, 0])
})

test('a TTL of 0, and a failure that tells of the callers, are not kept', () => {
  const cache = new AnswerCache()
  cache.set('found', text('a', 0), 0)
  cache.set('busy', { status: 'failed', reason: 'busy', detail: '' }, 0)
  cache.set('aborted', { status: 'failed', reason: 'aborted', detail: '' }, 0)
  expect(cache.size).toBe(0)
})

test('a cache never exceeds its bounds, and never gives an answer after its time', () => {
  const step = fc.record({
    key: fc.integer({ min: 0, max: 20 }),
    length: fc.integer({ min: 0, max: 2_000 }),
    ttlSeconds: fc.integer({ min: 0, max: 20 }),
    waitMs: fc.integer({ min: 0, max: 5_000 }),
    isSet: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const cache = new AnswerCache({ maxEntries: 5, maxBytes: 12_000 })
      const ends = new Map<number, number>()
      let now = 0
      for (const { key, length, ttlSeconds, waitMs, isSet } of steps) {
        now += waitMs
        if (isSet) {
          cache.set(String(key), text('x'.repeat(length), ttlSeconds), now)
          ends.set(key, now + ttlSeconds * 1000)
        } else {
          const answer = cache.get(String(key), now)
          if (answer !== undefined && answer.status !== 'failed') {
            expect(now + answer.ttlSeconds * 1000 - (ends.get(key) ?? 0)).toBeLessThan(1_000)
            expect(now).toBeLessThan(ends.get(key) ?? 0)
          }
        }
        expect(cache.size).toBeLessThanOrEqual(5)
        expect(cache.bytes).toBeLessThanOrEqual(12_000)
        if (cache.size === 0) expect(cache.bytes).toBe(0)
      }
    }),
  )
})
