/** Which session is displaced when all places are taken. Compares it with a model that looks at all connections each time. */
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Admission, addressKey, type Endpoint, type Place } from '../src/index.ts'
import { Displacement } from '../src/server/places/displacement.ts'

const MIN_IDLE_MS = 100
/** Longer than the interval between two scans of all sessions. */
const LOOK_MS = 1_000

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => void vi.useRealTimers())

interface Session {
  readonly remote: Endpoint
  readonly place: Place
  idleMs: number | undefined
}

const remote: fc.Arbitrary<Endpoint> = fc.oneof(
  fc.constant<Endpoint>({ family: 'unix', address: '', port: 0 }),
  fc.nat({ max: 5 }).map((i): Endpoint => ({ family: 'ipv4', address: `192.0.2.${i}`, port: 1 })),
  fc.nat({ max: 1 }).map((i): Endpoint => ({ family: 'ipv6', address: `2001:db8::${i}`, port: 1 })),
)
const newcomer = fc.record({
  remote,
  isSubmission: fc.boolean(),
  idleMs: fc.option(fc.integer({ min: 0, max: 300 }), { nil: undefined }),
})

class Full {
  readonly sessions = new Set<Session>()
  readonly displaced: Session[] = []
  looks = 0
  readonly #admission: Admission
  readonly #displacement: Displacement<Session>

  constructor(maxConnections: number) {
    this.#admission = new Admission({ maxConnections, maxConnectionsPerAddress: 100, keepsForSubmission: true })
    this.#displacement = new Displacement(
      this.#admission,
      MIN_IDLE_MS,
      () => {
        this.looks++
        return [...this.sessions].map((session) => [session, session.place] as const)
      },
      (session) => {
        this.displaced.push(session)
        this.sessions.delete(session)
        session.idleMs = undefined
      },
    )
  }

  count(remote: Endpoint): number {
    return this.#admission.count(remote)
  }

  /** Takes a free place. Returns false if there is none. */
  enterFree(remote: Endpoint, isSubmission: boolean, idleMs: number | undefined): boolean {
    return this.#add(remote, this.#admission.enter(remote, isSubmission), idleMs)
  }

  /** Takes the place of another session. Returns false if no session may be displaced. */
  enter(remote: Endpoint, isSubmission: boolean, idleMs?: number): boolean {
    return this.#add(remote, this.#displacement.enter(remote, isSubmission), idleMs)
  }

  #add(remote: Endpoint, place: Place | undefined, idleMs: number | undefined): boolean {
    if (place === undefined) return false
    this.sessions.add({ remote, place, idleMs })
    return true
  }
}

test('the longest idle session is displaced, of the address that has most sessions and more than the newcomer has', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.array(newcomer, { maxLength: 60 }),
      fc.array(newcomer, { maxLength: 20 }),
      (maxConnections, first, later) => {
        const full = new Full(maxConnections)
        for (const { remote, isSubmission, idleMs } of first) full.enterFree(remote, isSubmission, idleMs)
        for (const { remote, isSubmission, idleMs } of later) {
          vi.advanceTimersByTime(LOOK_MS)
          const before = [...full.sessions]
          const state = new Map(before.map((session) => [session, { ...session, count: full.count(session.remote) }]))
          const idle = (session: Session): number => state.get(session)?.idleMs ?? -1
          const count = (session: Session): number => state.get(session)?.count ?? 0
          const own = full.count(remote)
          const others = before.filter(({ place }) => !place.isSubmission).length
          const kept = Math.floor(maxConnections / 10)
          const wasIn = full.displaced.length
          const isIn = full.enter(remote, isSubmission, idleMs)
          const candidates = before.filter((session) => {
            const may = isSubmission || !session.place.isSubmission || others < maxConnections - kept
            return may && idle(session) >= MIN_IDLE_MS && count(session) > own
          })
          expect(isIn).toBe(candidates.length > 0)
          expect(full.displaced.length).toBe(wasIn + (isIn ? 1 : 0))
          expect(full.sessions.size).toBe(before.length)
          if (!isIn) continue
          const gone = full.displaced.at(-1) as Session
          expect(candidates).toContain(gone)
          const most = candidates.filter((session) => count(session) === Math.max(...candidates.map(count)))
          expect(most).toContain(gone)
          expect(idle(gone)).toBe(Math.max(...most.map(idle)))
        }
      },
    ),
  )
})

test('one scan finds several sessions, and they are displaced in order: if addresses have equally many, the longest idle first', () => {
  const full = new Full(60)
  const at = (i: number): Endpoint => ({ family: 'ipv4', address: `192.0.2.${i}`, port: 1 })
  for (let i = 0; i < 5; i++) full.enterFree(at(1), true, 200 + i)
  for (let i = 0; i < 4; i++) full.enterFree(at(2), true, 300 + i)
  full.enterFree(at(3), true, 900)
  const idle = new Map([...full.sessions].map((session) => [session, session.idleMs]))
  for (let i = 0; i < 10; i++) expect(full.enter(at(10 + i), true)).toBe(true)
  expect(full.looks).toBe(1)
  expect(full.displaced.map((session) => idle.get(session))).toEqual([204, 303, 203, 302, 202, 301, 201, 900, 300, 200])
})

test('many newcomers cause two scans of the sessions in a second at most', () => {
  const full = new Full(50)
  const address = (i: number): Endpoint => ({ family: 'ipv4', address: `10.0.${i >> 8}.${i & 255}`, port: 1 })
  for (let i = 0; i < 40; i++) full.enterFree(address(0), true, undefined)
  for (let i = 0; i < 10_000; i++) expect(full.enter(address(i), true)).toBe(false)
  expect(full.looks).toBe(1)
  for (const session of full.sessions) session.idleMs = 200
  expect(full.enter(address(1), true)).toBe(false)
  vi.advanceTimersByTime(LOOK_MS)
  expect(full.enter(address(1), true)).toBe(true)
  expect(full.looks).toBe(2)
})

test('a session that a scan found idle stays if it is active when its turn comes', () => {
  const full = new Full(40)
  const at = (i: number): Endpoint => ({ family: 'ipv4', address: `192.0.2.${i}`, port: 1 })
  for (let i = 0; i < 4; i++) full.enterFree(at(1), false, 200 + i)
  expect(full.enter(at(2), false)).toBe(true)
  const [first, second] = [...full.sessions].toSorted((a, b) => (b.idleMs ?? 0) - (a.idleMs ?? 0))
  if (first !== undefined) first.idleMs = 3
  expect(full.enter(at(3), false)).toBe(true)
  expect(full.displaced[1]).toBe(second)
  expect(addressKey(full.displaced[1]?.remote ?? at(0))).toBe('192.0.2.1')
})
