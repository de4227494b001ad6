/** Deadlines without a clock: each test says what time it is. Times are ms since the session began. */
import { describe, expect, test } from 'vitest'
import { type Limits, resolveLimits } from '../src/protocol/limits.ts'
import { Deadlines, type Progress } from '../src/server/deadlines.ts'

const BETWEEN_COMMANDS: Progress = { isInMessage: false, isInLine: false, linesRead: 1, messageOctets: 0 }
const IN_COMMAND: Progress = { ...BETWEEN_COMMANDS, isInLine: true }

const LIMITS: Partial<Limits> = {
  idleTimeoutMs: 300,
  dataTimeoutMs: 200,
  hookTimeoutMs: 500,
  tlsHandshakeTimeoutMs: 100,
  sessionTimeoutMs: 1_000_000,
  minDataBytesPerSecond: 0,
}

function begin(limits: Partial<Limits> = {}): Deadlines {
  return new Deadlines(resolveLimits({ ...LIMITS, ...limits }), 0)
}

function hookBegins(deadlines: Deadlines, now: number): void {
  if (deadlines.hookBegins()) deadlines.forHook(now)
}

function hookEnds(deadlines: Deadlines, now: number): void {
  if (deadlines.hookEnds()) deadlines.forHook(now)
}

function inMessage(messageOctets: number): Progress {
  return { isInMessage: true, isInLine: false, linesRead: 4, messageOctets }
}

test('a session that waits for nothing has no deadline', () => {
  const deadlines = begin()
  expect(deadlines.at).toBe(Infinity)
  expect(deadlines.expire(999_999)).toBe('nothing')
})

test.each([
  ['bytes', 310, (deadlines: Deadlines) => deadlines.forBytes(10, BETWEEN_COMMANDS)],
  ['bytes', 210, (deadlines: Deadlines) => deadlines.forBytes(10, inMessage(0))],
  ['peer', 310, (deadlines: Deadlines) => deadlines.forPeer(10)],
  ['handshake', 110, (deadlines: Deadlines) => deadlines.forHandshake(10)],
  ['hook', 510, (deadlines: Deadlines) => hookBegins(deadlines, 10)],
] as const)('a wait for %s ends at %i and is over then', (wait, at, start) => {
  const deadlines = begin()
  start(deadlines)
  expect(deadlines.at).toBe(at)
  expect(deadlines.expire(at - 1)).toBe('nothing')
  expect(deadlines.wait).toBe(wait)
  expect(deadlines.expire(at)).toBe(wait)
  expect(deadlines).toMatchObject({ wait: 'nothing', at: Infinity })
})

describe('a command', () => {
  test('gets no more time when the client sends a byte now and then', () => {
    const deadlines = begin()
    deadlines.forBytes(0, BETWEEN_COMMANDS)
    deadlines.end()
    deadlines.forBytes(200, IN_COMMAND)
    expect(deadlines.at).toBe(300)
  })

  test('gets its own time if it began in the packet of the previous command', () => {
    const deadlines = begin()
    deadlines.forBytes(0, BETWEEN_COMMANDS)
    deadlines.end()
    deadlines.forBytes(200, { ...IN_COMMAND, linesRead: 2 })
    expect(deadlines.at).toBe(500)
  })

  test('that has not begun leaves the session idle', () => {
    const deadlines = begin()
    expect(deadlines.idleMs(5, BETWEEN_COMMANDS)).toBeUndefined()
    deadlines.forBytes(10, BETWEEN_COMMANDS)
    expect(deadlines.idleMs(35, BETWEEN_COMMANDS)).toBe(25)
    expect(deadlines.idleMs(35, inMessage(0))).toBeUndefined()
    hookBegins(deadlines, 40)
    expect(deadlines.idleMs(45, BETWEEN_COMMANDS)).toBeUndefined()
  })
})

describe('a message', () => {
  /** Lets the client take `ms` for the next bytes. */
  function wait(deadlines: Deadlines, now: number, ms: number, octets: number): number {
    deadlines.forBytes(now, inMessage(octets))
    deadlines.messageBytesCame(now + ms)
    deadlines.end()
    return now + ms
  }

  test('must keep the average rate once the grace period is over', () => {
    const deadlines = begin({ minDataBytesPerSecond: 100, minDataRateGraceMs: 1_000, dataTimeoutMs: 10_000 })
    deadlines.beginMessage()
    let now = wait(deadlines, 0, 600, 0)
    now = wait(deadlines, now, 500, 10)
    // The grace is 1,000 ms, and 20 octets are worth 200 ms. 1,100 ms of that are over.
    deadlines.forBytes(now, inMessage(20))
    expect(deadlines.at).toBe(now + 100)
  })

  test('is not charged for the time that its reader takes, nor for the previous message', () => {
    const deadlines = begin({ minDataBytesPerSecond: 100, minDataRateGraceMs: 1_000, dataTimeoutMs: 10_000 })
    deadlines.beginMessage()
    wait(deadlines, 0, 300, 0)
    deadlines.forBytes(50_000, inMessage(0))
    expect(deadlines.at).toBe(50_700)
    deadlines.beginMessage()
    deadlines.forBytes(60_000, inMessage(0))
    expect(deadlines.at).toBe(61_000)
  })

  test('may be as slow as it likes if there is no minimum rate', () => {
    const deadlines = begin({ minDataBytesPerSecond: 0, minDataRateGraceMs: 0 })
    deadlines.forBytes(7, inMessage(0))
    expect(deadlines.at).toBe(207)
  })
})

describe('a hook', () => {
  test('gets its full time again after it has read', () => {
    const deadlines = begin()
    hookBegins(deadlines, 0)
    deadlines.forBytes(400, inMessage(0))
    expect(deadlines.at).toBe(600)
    deadlines.forHook(450)
    expect(deadlines).toMatchObject({ wait: 'hook', at: 950 })
  })

  test('leaves the deadline for message bytes in place if it answers while a read is pending', () => {
    const deadlines = begin()
    hookBegins(deadlines, 0)
    deadlines.forBytes(100, inMessage(0))
    hookEnds(deadlines, 150)
    expect(deadlines).toMatchObject({ wait: 'bytes', at: 300, isHookAwaited: false })
  })

  test('for a chunk restores the deadline of the hook for the message when it ends', () => {
    const deadlines = begin()
    hookBegins(deadlines, 0)
    hookBegins(deadlines, 100)
    expect(deadlines.at).toBe(600)
    hookEnds(deadlines, 200)
    expect(deadlines).toMatchObject({ wait: 'hook', at: 700 })
    hookEnds(deadlines, 300)
    expect(deadlines).toMatchObject({ wait: 'nothing', at: Infinity })
  })

  test('gets a short time after its session was destroyed, whatever it waits for', () => {
    const deadlines = begin({ hookTimeoutMs: 5_000 })
    hookBegins(deadlines, 0)
    deadlines.destroyed(100)
    expect(deadlines.at).toBe(1_100)
    expect(deadlines.expire(1_100)).toBe('last-moment')
    expect(deadlines).toMatchObject({ wait: 'hook', at: 5_000 })
  })
})

describe('the session', () => {
  test('ends at its deadline, whatever it waits for', () => {
    const deadlines = begin({ sessionTimeoutMs: 1_000 })
    deadlines.forBytes(900, BETWEEN_COMMANDS)
    expect(deadlines.at).toBe(1_000)
    expect([deadlines.isSessionOver(999), deadlines.isSessionOver(1_000)]).toEqual([false, true])
    hookBegins(deadlines, 950)
    deadlines.forHook(960)
    expect(deadlines.at).toBe(1_000)
  })

  test('may last longer while the client takes the last reply', () => {
    const deadlines = begin({ sessionTimeoutMs: 1_000 })
    deadlines.forClose(1_000)
    expect(deadlines).toMatchObject({ wait: 'peer', at: 1_300 })
    expect(deadlines.isSessionOver(99_999)).toBe(false)
  })
})
