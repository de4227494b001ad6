/** The one timer of a session, by a clock that the test turns. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { resolveLimits } from '../src/protocol/limits.ts'
import type { Progress } from '../src/server/deadlines.ts'
import { Waits } from '../src/server/waits.ts'

const IDLE_MS = 300
const LIMITS = resolveLimits({ idleTimeoutMs: IDLE_MS, dataTimeoutMs: IDLE_MS, hookTimeoutMs: 500 })
const PROGRESS: Progress = { isInMessage: false, isInLine: false, linesRead: 1, messageOctets: 0 }

let told: string[]
let waits: Waits

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  told = []
  const startedAt = performance.now()
  waits = new Waits(LIMITS, PROGRESS, {
    timeUp: (waited, isSessionOver) => told.push(`${waited} ${isSessionOver} ${performance.now() - startedAt}`),
  })
})

afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

test('a thousand commands take a few timers, one at a time', () => {
  const set = vi.spyOn(globalThis, 'setTimeout')
  for (let i = 0; i < 1_000; i++) {
    waits.forBytes()
    vi.advanceTimersByTime(1)
    waits.bytesCame()
    expect(vi.getTimerCount()).toBeLessThanOrEqual(1)
  }
  expect(set.mock.calls.length).toBeLessThan(10)
  expect(told).toEqual([])
})

test('the owner is told once, when the time is up and not before', () => {
  waits.forBytes()
  vi.advanceTimersByTime(200)
  waits.bytesCame()
  waits.forBytes()
  vi.advanceTimersByTime(IDLE_MS - 1)
  expect(told).toEqual([])
  vi.advanceTimersByTime(10_000)
  expect(told).toEqual([`bytes false ${200 + IDLE_MS}`])
  expect(vi.getTimerCount()).toBe(0)
})

test('a nearer deadline sets the timer anew, and the other one still holds', () => {
  waits.hookBegins()
  waits.destroyed()
  vi.advanceTimersByTime(400)
  waits.hookBegins()
  vi.advanceTimersByTime(700)
  expect(told).toEqual(['hook false 900', 'last-moment false 1000'])
})

test('nobody is told of anything after the end', () => {
  waits.forBytes()
  waits.stop()
  waits.forPeer()
  waits.destroyed()
  vi.advanceTimersByTime(10_000)
  expect(told).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
})
