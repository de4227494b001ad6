/** The single timer of a session, with fake timers that the test advances. */
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

test('a thousand commands need only a few timers, one at a time', () => {
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

test('the owner is told once, when the time is up and not earlier', () => {
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

test('an earlier deadline restarts the timer, and the later deadline still applies', () => {
  waits.hookBegins()
  waits.destroyed()
  vi.advanceTimersByTime(400)
  waits.hookBegins()
  vi.advanceTimersByTime(700)
  expect(told).toEqual(['hook false 900', 'last-moment false 1000'])
})

test('the owner is told nothing after the end', () => {
  waits.forBytes()
  waits.stop()
  waits.forPeer()
  waits.destroyed()
  vi.advanceTimersByTime(10_000)
  expect(told).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
})
