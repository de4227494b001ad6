/** When a login is tried: the queue, penalties and turns, on a clock that the tests move. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { type Credentials, type Reply, reply, type Session } from '@postern/engine'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { FailureTable } from '../src/logins/failures.ts'
import { authenticator, type AuthenticatorDeps } from '../src/logins/authenticator.ts'
import { usersSource } from '../src/accounts/users.ts'
import { Identities } from '../src/directory/identities.ts'
import type { Attempt, LoginRefusal, Logins } from '../src/login-answer.ts'
import { LocalLogins } from '../src/logins/logins.ts'
import { checkPassword, type PasswordCheck, randomHash } from '../src/accounts/password.ts'
import { type LoginKeys, Penalties } from '../src/logins/penalties.ts'
import { FairQueue, type Place } from '../src/logins/queue.ts'
import { CheckThreads } from '../src/logins/threads.ts'
import { type Turn, Turns } from '../src/logins/turns.ts'
import { ByHand } from './by-hand.ts'
import { hashed } from './hashed.ts'

interface Item extends Place<string> {
  readonly value: string
}

const item = fc.record({
  rank: fc.nat({ max: 2 }),
  address: fc.constantFrom('a', 'b', 'c', 'd'),
  value: fc.uuid(),
})

describe('the queue', () => {
  test('serves every address once before it serves one of them again', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 60 }), (items) => {
        const queue = new FairQueue<Item>()
        for (const one of items) queue.push({ ...one, rank: 0, value: one })
        const served = Array.from({ length: items.length }, () => queue.shift() as Item)
        expect(queue.shift()).toBeUndefined()
        // Each address has had this many rounds. Waiting addresses are never two rounds apart.
        const left = new Map<string, number>()
        for (const { address } of items) left.set(address, (left.get(address) ?? 0) + 1)
        const rounds = new Map([...left.keys()].map((address) => [address, 0]))
        for (const { address } of served) {
          rounds.set(address, (rounds.get(address) ?? 0) + 1)
          left.set(address, (left.get(address) ?? 0) - 1)
          const waiting = [...left].filter(([, count]) => count > 0).map(([waits]) => rounds.get(waits) ?? 0)
          expect(Math.max(...rounds.values()) - Math.min(...waiting)).toBeLessThanOrEqual(1)
        }
        // The logins of one address stay in order.
        for (const address of left.keys()) {
          const of = (list: readonly Item[]): Item[] => list.filter((one) => one.address === address)
          expect(of(served)).toEqual(of(items))
        }
      }),
    )
  })

  test('returns each item once, or removes it once', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(item, fc.nat()), { maxLength: 80 }), (steps) => {
        const queue = new FairQueue<string>()
        const waiting: Item[] = []
        const gone: Item[] = []
        for (const step of steps) {
          if (typeof step === 'object') {
            queue.push(step)
            waiting.push(step)
          } else if (step % 2 === 0) {
            const value = queue.shift()
            expect(value === undefined).toBe(waiting.length === 0)
            if (value !== undefined)
              gone.push(
                ...waiting.splice(
                  waiting.findIndex((one) => one.value === value),
                  1,
                ),
              )
          } else if (waiting.length > 0) {
            const [taken] = waiting.splice(step % waiting.length, 1) as [Item]
            expect(queue.remove(taken)).toBe(true)
            gone.push(taken)
          }
          expect(queue.size).toBe(waiting.length)
        }
        for (const one of gone) expect(queue.remove(one)).toBe(false)
      }),
    )
  })

  test('serves lower ranks first, and every fourth time the item that has waited longest', () => {
    const queue = new FairQueue<string>()
    for (let i = 0; i < 4; i++)
      for (const rank of [2, 1, 0]) queue.push({ rank, address: `${rank}${i}`, value: `${rank}${i}` })
    expect(Array.from({ length: 12 }, () => queue.shift()).join(' ')).toBe('03 02 01 20 00 13 12 10 11 23 22 21')
  })

  test('serves the latest new address before others that wait for their first turn', () => {
    const queue = new FairQueue<string>()
    const push = (address: string): void => queue.push({ rank: 1, address, value: address })
    for (let i = 0; i < 100; i++) push(`guesser ${i}`)
    push('owner')
    push('owner')
    expect(Array.from({ length: 5 }, () => queue.shift())).toEqual([
      'owner',
      'guesser 99',
      'guesser 98',
      'guesser 0',
      'guesser 97',
    ])
  })
})

describe('the table of failures', () => {
  test('counts failures, and forgets a key that has not failed for long enough', () => {
    const table = new FailureTable(10, 1_000)
    table.add('a', 0)
    table.add('a', 900)
    expect(table.find('a', 1_899)).toEqual({ count: 2, lastMs: 900 })
    expect(table.find('a', 1_900)).toBeUndefined()
    expect(table.size).toBe(0)
    table.add('a', 2_000)
    table.add('a', 3_500)
    expect(table.find('a', 3_500)?.count).toBe(1)
    table.subtract('a', 5)
    expect(table.size).toBe(0)
  })

  test('keeps the keys with most failures when a flood of others fills it', () => {
    const table = new FailureTable(100, Infinity)
    for (let i = 0; i < 20; i++) for (const worst of ['x', 'y', 'z']) table.add(worst, i)
    table.add('twice', 20)
    table.add('twice', 20)
    for (let i = 0; i < 10_000; i++) table.add(`flood ${i}`, 21 + i)
    expect(table.size).toBe(100)
    expect(['x', 'y', 'z', 'twice'].map((key) => table.find(key, 20_000)?.count)).toEqual([20, 20, 20, 2])
    expect(table.find('flood 9999', 20_000)?.count).toBe(1)
  })

  test('forgets expired keys first', () => {
    const table = new FailureTable(2, 1_000)
    for (let i = 0; i < 20; i++) table.add('old', 0)
    table.add('new', 500)
    table.add('newer', 1_000)
    expect([table.find('new', 1_000)?.count, table.size]).toEqual([1, 2])
  })

  test('never exceeds its number of keys, and counts like a plain map while all keys fit', () => {
    const step = fc.record({ key: fc.constantFrom(...'abcdefgh'), back: fc.nat({ max: 4 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), fc.integer({ min: 1, max: 8 }), (steps, maxKeys) => {
        const table = new FailureTable(maxKeys, Infinity)
        const model = new Map<string, number>()
        for (const [nowMs, { key, back }] of steps.entries()) {
          if (back > 2) table.subtract(key, back - 2)
          else table.add(key, nowMs)
          model.set(key, Math.max(0, (model.get(key) ?? 0) + (back > 2 ? 2 - back : 1)))
          expect(table.size).toBeLessThanOrEqual(maxKeys)
          if (maxKeys === 8) expect(table.find(key, nowMs)?.count ?? 0).toBe(model.get(key))
        }
      }),
    )
  })
})

describe('penalties', () => {
  const penalties = (): Penalties => new Penalties()
  const fail = (of: Penalties, keys: LoginKeys, times: number): void => {
    for (let i = 0; i < times; i++) of.failed(keys, 0)
  }

  test('an address waits twice as long after each failure, up to half a minute, and is forgotten after an hour', () => {
    const table = penalties()
    const keys = table.keysOf({ address: '192.0.2.1', account: 'ann' })
    const delays = Array.from({ length: 10 }, () => {
      table.failed(keys, 0)
      return table.standing(keys, 0).delayMs
    })
    expect(delays).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
    expect(table.standing(keys, 0)).toMatchObject({ rank: 2, readyAtMs: 30_000 })
    expect(table.standing(keys, 3_600_000)).toMatchObject({ rank: 1, delayMs: 0, accountDelayMs: 0 })
  })

  test('an account waits half a second at most, so that guesses do not lock out its owner', () => {
    const table = penalties()
    for (let i = 0; i < 1_000; i++) fail(table, table.keysOf({ address: `192.0.2.${i}`, account: 'ann' }), 3)
    const owner = table.keysOf({ address: '198.51.100.1', account: 'ann' })
    expect(table.standing(owner, 0)).toMatchObject({ rank: 1, delayMs: 0, accountDelayMs: 500 })
  })

  test('a success removes the failures of its account from the address, and not those of other accounts', () => {
    const table = penalties()
    const [ann, bob] = ['ann', 'bob'].map((account) => table.keysOf({ address: '192.0.2.1', account })) as [
      LoginKeys,
      LoginKeys,
    ]
    fail(table, ann, 3)
    fail(table, bob, 2)
    table.succeeded(ann, 0)
    expect(table.standing(bob, 0)).toMatchObject({ rank: 2, delayMs: 500 })
    // An account that logged in from this address does not wait any more, whatever others do, until a guess for this
    // account comes from this address.
    fail(table, bob, 10)
    expect(table.standing(ann, 0)).toEqual({ rank: 0, readyAtMs: 0, delayMs: 0, accountDelayMs: 0 })
    table.failed(ann, 0)
    expect(table.standing(ann, 0)).toMatchObject({ rank: 2, delayMs: 30_000 })
  })

  test('names that differ only in case are one account; without an address, failures delay the account', () => {
    const table = penalties()
    const [one, other, elsewhere] = [
      ['', 'Ann'],
      ['', 'aNN'],
      ['', 'bob'],
    ].map(([address = '', account = '']) => table.keysOf({ address, account })) as [LoginKeys, LoginKeys, LoginKeys]
    fail(table, one, 4)
    expect(table.standing(other, 0)).toMatchObject({ rank: 2, delayMs: 2_000 })
    expect(table.standing(elsewhere, 0)).toMatchObject({ rank: 1, delayMs: 0 })
    expect(one.address).toBe('')
  })

  test('stores a bounded number of keys, and no name in plain text', () => {
    const table = new Penalties(3)
    const name = 'x'.repeat(100_000)
    const keys = table.keysOf({ address: '192.0.2.1', account: name })
    expect(JSON.stringify(keys).length).toBeLessThan(300)
    const all = Array.from({ length: 10 }, (_, i) => table.keysOf({ address: `192.0.2.${i}`, account: 'ann' }))
    for (const one of all) table.succeeded(one, 0)
    expect(all.map((one) => table.standing(one, 0).rank)).toEqual([1, 1, 1, 1, 1, 1, 1, 0, 0, 0])
  })
})

/** A turn that records its calls. */
class Recorded implements Turn {
  readonly keys: LoginKeys
  readonly heard: ('begin' | LoginRefusal)[] = []
  constructor(keys: LoginKeys) {
    this.keys = keys
  }
  begin(): void {
    this.heard.push('begin')
  }
  refuse(why: LoginRefusal): void {
    this.heard.push(why)
  }
}

describe('turns', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  function entered(turns: Turns, penalties: Penalties, address: string, account = 'ann'): Recorded {
    const turn = new Recorded(penalties.keysOf({ address, account }))
    turns.enter(turn)
    return turn
  }

  test('an address that has failed waits its full delay, also with two logins at a time', () => {
    const penalties = new Penalties()
    const turns = new Turns(penalties)
    const first = entered(turns, penalties, 'a')
    turns.end(first, false)
    const [second, third] = [entered(turns, penalties, 'a'), entered(turns, penalties, 'a')]
    vi.advanceTimersByTime(249)
    expect([second.heard, third.heard]).toEqual([[], []])
    vi.advanceTimersByTime(1)
    // The third login waits for the second, however long that takes, and for its delay.
    vi.advanceTimersByTime(60_000)
    expect([second.heard, third.heard]).toEqual([['begin'], []])
    turns.end(second, false)
    vi.advanceTimersByTime(499)
    expect(third.heard).toEqual([])
    vi.advanceTimersByTime(1)
    expect(third.heard).toEqual(['begin'])
    turns.end(third, true)
    // After the success no login waits for earlier failures.
    expect(entered(turns, penalties, 'a').heard).toEqual(['begin'])
    expect(entered(turns, penalties, 'b').heard).toEqual(['begin'])
  })

  test('a login that would wait too long is refused at once, or as soon as that is known', () => {
    const penalties = new Penalties()
    const turns = new Turns(penalties)
    const burst = Array.from({ length: 30 }, () => entered(turns, penalties, 'a'))
    expect(burst.filter(({ heard }) => heard[0] === 'begin')).toHaveLength(8)
    for (const turn of burst.slice(0, 8)) turns.end(turn, false)
    expect(burst.slice(8).map(({ heard }) => heard[0])).toEqual(Array.from({ length: 22 }, () => 'delayed'))
    expect(entered(turns, penalties, 'a').heard).toEqual(['delayed'])
    vi.advanceTimersByTime(21_000)
    const waits = entered(turns, penalties, 'a')
    expect([waits.heard, entered(turns, penalties, 'a').heard]).toEqual([[], ['delayed']])
    vi.advanceTimersByTime(9_000)
    expect(waits.heard).toEqual(['begin'])
  })

  test('a full line refuses; if all places are taken, the longest line gives one to an address with fewer', () => {
    const penalties = new Penalties()
    const turns = new Turns(penalties, { maxLogins: 10, maxLoginsPerAddress: 8, maxAtOncePerAddress: 1 })
    const many = Array.from({ length: 9 }, () => entered(turns, penalties, 'a'))
    expect(many.at(-1)?.heard).toEqual(['busy'])
    entered(turns, penalties, 'b')
    entered(turns, penalties, 'b')
    expect(turns.size).toBe(10)
    expect(entered(turns, penalties, 'c').heard).toEqual(['begin'])
    expect(many.map(({ heard }) => heard[0])).toEqual(['begin', ...Array(6).fill(undefined), 'busy', 'busy'])
    expect(turns.size).toBe(10)
    expect(entered(turns, penalties, 'a').heard).toEqual(['busy'])
  })

  test('no wait is longer than a login may take in all', () => {
    const penalties = new Penalties()
    const turns = new Turns(penalties, {}, 1_000)
    for (const turn of Array.from({ length: 4 }, () => entered(turns, penalties, 'a'))) turns.end(turn, false)
    expect(entered(turns, penalties, 'a').heard).toEqual(['delayed'])
    vi.advanceTimersByTime(1_000)
    expect(entered(turns, penalties, 'a').heard).toEqual([])
  })

  test('a login that leaves gives its place to the next, and gets no answer', () => {
    const penalties = new Penalties()
    const turns = new Turns(penalties, { maxLoginsPerAddress: 2, maxAtOncePerAddress: 1 })
    const [first, second] = [entered(turns, penalties, 'a'), entered(turns, penalties, 'a')]
    turns.leave(second)
    const third = entered(turns, penalties, 'a')
    turns.end(first, undefined)
    expect([second.heard, third.heard]).toEqual([[], ['begin']])
    turns.end(third, undefined)
    expect(turns.size).toBe(0)
  })

  test('with random logins, places are bounded, an address that has failed tries once at a time, and every login gets one answer', () => {
    const step = fc.record({
      does: fc.constantFrom('enter', 'enter', 'enter', 'right', 'wrong', 'unknown', 'leave', 'wait'),
      address: fc.constantFrom('', 'a', 'b', 'c'),
      account: fc.constantFrom('ann', 'bob'),
      nth: fc.nat(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const penalties = new Penalties(4)
        const turns = new Turns(penalties, { maxLogins: 9, maxLoginsPerAddress: 5, maxAtOncePerAddress: 3 })
        const waiting = new Set<Recorded>()
        const trying = new Set<Recorded>()
        const look = (): void => {
          for (const turn of waiting) {
            if (turn.heard.length === 0) continue
            waiting.delete(turn)
            if (turn.heard[0] !== 'begin') continue
            const others = [...trying].filter(({ keys }) => keys.payer === turn.keys.payer)
            expect(others.length).toBeLessThan(3)
            if (penalties.standing(turn.keys, performance.now()).rank === 2) expect(others).toEqual([])
            trying.add(turn)
          }
          expect(turns.size).toBe(waiting.size + trying.size)
          expect(turns.size).toBeLessThanOrEqual(9)
        }
        for (const { does, address, account, nth } of steps) {
          if (does === 'wait') vi.advanceTimersByTime(nth % 5_000)
          else if (does === 'enter') {
            const turn = new Recorded(penalties.keysOf({ address, account }))
            waiting.add(turn)
            turns.enter(turn)
          } else {
            const among = does === 'leave' ? waiting : trying
            const turn = [...among][nth % Math.max(1, among.size)]
            if (turn === undefined) continue
            among.delete(turn)
            if (does === 'leave') turns.leave(turn)
            else turns.end(turn, does === 'unknown' ? undefined : does === 'right')
          }
          look()
        }
        // Time alone brings every login its turn.
        for (let i = 0; i < 100 && waiting.size + trying.size > 0; i++) {
          for (const turn of trying) turns.end(turn, undefined)
          trying.clear()
          vi.advanceTimersByTime(31_000)
          look()
        }
        expect(turns.size).toBe(0)
        expect(vi.getTimerCount()).toBe(0)
      }),
    )
  })
})

const RIGHT = hashed('right', { ln: 4, r: 8, p: 1 })
const check = (password: string): PasswordCheck => ({ password, expected: RIGHT })
const never = new AbortController().signal

describe('logins', () => {
  const begin = async (logins: LocalLogins, address: string, signal = never): Promise<Attempt> => {
    const attempt = await logins.begin({ address, account: 'ann' }, signal)
    if (typeof attempt === 'string') throw new Error(attempt)
    return attempt
  }

  test('a waiting check loses its place if its session ends; a running one is answered', async () => {
    const runner = new ByHand()
    const logins = new LocalLogins({ runner, maxLoginMs: 60_000, refusalDelayMs: 0 })
    const [running, gone] = [new AbortController(), new AbortController()]
    const first = (await begin(logins, 'a', running.signal)).check(check('first'))
    const second = (await begin(logins, 'b', gone.signal)).check(check('second'))
    const third = (await begin(logins, 'c')).check(check('third'))
    running.abort()
    gone.abort()
    expect(await second).toBe('busy')
    runner.running[0]?.answer(false)
    expect(await first).toBe(false)
    await vi.waitFor(() => expect(runner.running[1]?.check.password).toBe('third'))
    runner.running[1]?.answer(true)
    expect(await third).toBe(true)
    expect(runner.running).toHaveLength(2)
  })

  test('a refusal is delayed, but not past the end of its session or of the server', async () => {
    const logins = new LocalLogins({ runner: new ByHand(), maxLoginMs: 600_000, limits: { maxLogins: 1 } })
    await begin(logins, 'a')
    const gone = new AbortController()
    const refusals = [gone.signal, never].map((signal) => logins.begin({ address: 'b', account: 'ann' }, signal))
    const answered: string[] = []
    for (const [i, refusal] of refusals.entries()) void refusal.then((why) => answered.push(`${i} ${String(why)}`))
    await new Promise(setImmediate)
    expect(answered).toEqual([])
    gone.abort()
    await refusals[0]
    expect(answered).toEqual(['0 busy'])
    logins.close()
    await refusals[1]
    expect(answered).toEqual(['0 busy', '1 busy'])
  })

  test('a login without an answer loses its place after the timeout, and a late answer still counts', async () => {
    const limits = { maxAtOncePerAddress: 1 }
    const logins = new LocalLogins({ runner: new ByHand(), maxLoginMs: 50, refusalDelayMs: 0, limits })
    const stuck = await begin(logins, 'a')
    // It waits behind the first login, and would do so for ever.
    const next = await begin(logins, 'a')
    next.end(undefined)
    for (let i = 0; i < 8; i++) stuck.end(false)
    expect(await logins.begin({ address: 'a', account: 'ann' }, never)).toBe('delayed')
    expect(typeof (await logins.begin({ address: 'b', account: 'bob' }, never))).toBe('object')
  })

  test('close answers all logins that wait', async () => {
    const runner = new ByHand()
    const logins = new LocalLogins({
      runner,
      maxLoginMs: 60_000,
      refusalDelayMs: 0,
      limits: { maxAtOncePerAddress: 2 },
    })
    const running = (await begin(logins, 'a')).check(check('running'))
    const queued = (await begin(logins, 'a')).check(check('queued'))
    const waiting = logins.begin({ address: 'a', account: 'ann' }, never)
    logins.close()
    expect([await queued, await waiting]).toEqual(['busy', 'busy'])
    expect(await logins.begin({ address: 'b', account: 'ann' }, never)).toBe('busy')
    runner.running[0]?.answer(true)
    expect(await running).toBe(true)
  })
})

describe('the authenticator', () => {
  const session = { remote: { family: 'ipv4', address: '192.0.2.1', port: 1 }, signal: never } as Session
  const users = [{ name: 'ann', password: RIGHT }]
  const credentials = (password: string, authorizationId = ''): Credentials => ({
    mechanism: 'PLAIN',
    username: 'ann',
    password,
    authorizationId,
  })

  /** Logins that record the result of each. */
  function recorded(): { logins: Logins; ends: (boolean | undefined)[]; checks: PasswordCheck[] } {
    const ends: (boolean | undefined)[] = []
    const checks: PasswordCheck[] = []
    const attempt: Attempt = {
      async check(asked) {
        checks.push(asked)
        return checkPassword(asked)
      },
      end: (isRight) => void ends.push(isRight),
    }
    return { logins: { begin: async () => attempt }, ends, checks }
  }

  const identities = new Identities([usersSource(users)])
  const parts = {
    identities: () => identities,
    own: {},
    kinds: { ...identities.kinds, certificate: false },
    maxFailedAuths: 3,
  }

  test('counts only answers that say that the password is wrong', async () => {
    const { logins, ends } = recorded()
    const { checkPassword: check } = authenticator({ ...parts, logins }).accounts
    expect(await check?.(credentials('right'), session)).toEqual({ user: 'ann' })
    expect(await check?.(credentials('wrong'), session)).toBeUndefined()
    expect(await check?.(credentials('right', 'bob'), session)).toBeUndefined()
    expect(ends.splice(0)).toEqual([true, false, false])
    for (const [answer, end] of [
      [reply(535, '5.7.8', 'No'), false],
      [reply(454, '4.7.0', 'Down'), undefined],
      [{ user: 'bob' }, true],
      [{ user: '' }, undefined],
    ] as const) {
      const hooked = authenticator({ ...parts, logins, own: { checkPassword: () => answer } }).accounts
      expect(await hooked.checkPassword?.(credentials('right'), session)).toEqual(answer)
      expect(ends.splice(0)).toEqual([end])
    }
    const failing = { checkPassword: () => Promise.reject(new Error('broken')) }
    const broken = authenticator({ ...parts, logins, own: failing }).accounts
    await expect(broken.checkPassword?.(credentials('right'), session)).rejects.toThrow('broken')
    expect(ends.splice(0)).toEqual([undefined])
  })

  test('checks an unknown name at the same cost, and checks nothing if there are no users', async () => {
    const { logins, checks, ends } = recorded()
    const { checkPassword: check } = authenticator({ ...parts, logins }).accounts
    await check?.({ ...credentials('right'), username: 'nobody' }, session)
    expect(checks).toHaveLength(1)
    expect(checks[0]?.expected).toMatchObject({ ln: RIGHT.ln, r: RIGHT.r, p: RIGHT.p })
    const nobody = { password: false, scram: false, secret: false, certificate: false }
    const own = { checkPassword: () => undefined }
    const withoutUsers = authenticator({ ...parts, own, logins, kinds: nobody }).accounts
    expect(await withoutUsers.checkPassword?.(credentials('right'), session)).toBeUndefined()
    expect([checks.length, ends]).toEqual([1, [false, false]])
  })

  test('has only the methods that somebody can answer for', () => {
    const { logins } = recorded()
    const none = { password: false, scram: false, secret: false, certificate: false }
    const methods = (deps: Partial<AuthenticatorDeps>): string[] =>
      Object.keys(authenticator({ ...parts, logins, kinds: none, ...deps }).accounts)
    expect(methods({})).toEqual([])
    expect(methods({ kinds: { password: true, scram: true, secret: true, certificate: true } })).toEqual([
      'checkPassword',
      'scramKeys',
      'sharedSecret',
      'certificateUser',
    ])
    expect(methods({ own: { sharedSecret: () => 'x' }, checkToken: () => undefined })).toEqual([
      'sharedSecret',
      'checkToken',
    ])
  })

  test('a login of several steps has its turn until it ends, and only a refusal counts as a failure', async () => {
    const { logins, ends } = recorded()
    const { accounts, ended } = authenticator({ ...parts, logins, own: { sharedSecret: () => 'secret' } })
    for (const [outcome, end] of [
      ['accepted', true],
      ['refused', false],
      ['given-up', undefined],
    ] as const) {
      expect(await accounts.sharedSecret?.('ann', session)).toBe('secret')
      expect(ends).toEqual([])
      ended({ mechanism: 'CRAM-MD5', outcome }, session)
      expect(ends.splice(0)).toEqual([end])
    }
    ended({ mechanism: 'PLAIN', outcome: 'refused' }, session)
    expect(ends).toEqual([])
  })

  test('says why a login was not tried, and closes the session after the third', async () => {
    const reasons: LoginRefusal[] = ['busy', 'delayed', 'delayed']
    const logins: Logins = { begin: async () => reasons.shift() ?? 'busy' }
    const { accounts, reasonOf } = authenticator({ ...parts, logins, own: { sharedSecret: () => 'secret' } })
    const tell = async (): Promise<unknown> => {
      const answer = await accounts.checkPassword?.(credentials('right'), session)
      return [(answer as Reply).code, reasonOf(session), reasonOf(session)]
    }
    expect(await tell()).toEqual([454, 'busy', undefined])
    expect(await tell()).toEqual([454, 'delayed', undefined])
    await expect(accounts.sharedSecret?.('ann', session)).rejects.toMatchObject({ reply: { code: 421 } })
    const other = await accounts.checkPassword?.(credentials('right'), { ...session })
    expect((other as Reply).code).toBe(454)
  })
})

describe('check threads', () => {
  test('check passwords, one after the other in the same thread', async () => {
    const made = vi.spyOn(Worker.prototype, 'postMessage')
    const threads = new CheckThreads(2)
    expect(await Promise.all([threads.run(check('right')), threads.run(check('wrong'))])).toEqual([true, false])
    expect(await threads.run(check('right'))).toBe(true)
    expect(new Set(made.mock.contexts).size).toBe(2)
    made.mockRestore()
    threads.close()
  })

  test('a thread that ends fails its check, and the next check gets another thread', async () => {
    const threads = new CheckThreads(1)
    expect(await threads.run(check('right'))).toBe(true)
    const post = vi.spyOn(Worker.prototype, 'postMessage')
    post.mockImplementationOnce(function (this: Worker) {
      void this.terminate()
    })
    await expect(threads.run(check('right'))).rejects.toThrow('ended')
    expect(await threads.run(check('right'))).toBe(true)
    post.mockRestore()
    threads.close()
  })

  test('parameters that scrypt refuses fail only that check', async () => {
    const threads = new CheckThreads(1)
    // RFC 7914 2: N must be less than 2^(16 r).
    await expect(threads.run({ password: 'any', expected: { ...randomHash(), ln: 20, r: 1, p: 1 } })).rejects.toThrow()
    expect(await threads.run(check('right'))).toBe(true)
    threads.close()
  })

  test('idle threads do not keep a program alive', async () => {
    const program = new Worker(
      `import(${JSON.stringify(new URL('../src/logins/threads.ts', import.meta.url).href)}).then(async ({ CheckThreads }) => {
        const { workerData, parentPort } = await import('node:worker_threads')
        parentPort.postMessage(await new CheckThreads(1).run(workerData))
      })`,
      { eval: true, workerData: check('right') },
    )
    const [[isRight], [code]] = await Promise.all([once(program, 'message'), once(program, 'exit')])
    expect([isRight, code]).toEqual([true, 0])
  })
})
