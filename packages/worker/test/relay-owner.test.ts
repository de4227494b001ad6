/** When the object that has the queue sets its alarm. Its storage is SQLite, and its relay a script of the test. */
import { DatabaseSync } from 'node:sqlite'
import type { NewEntry, Queue } from '@postern/relay'
import { expect, test, vi } from 'vitest'
import { type OwnerStorage, QueueOwner } from '../src/relay/owner.ts'
import type { RelayPart } from '../src/relay/part.ts'

const ENTRY: NewEntry = {
  id: 'MESSAGE1',
  messageId: 'MESSAGE1',
  queuedAt: 1_000,
  envelope: { reversePath: '', body: '7BIT', smtpUtf8: false },
  recipients: [{ address: 'bob@far.example', destination: 'far.example' }],
}

class Storage implements OwnerStorage {
  readonly #database = new DatabaseSync(':memory:')
  readonly #values = new Map<string, unknown>()
  /** What was asked for, in its order. */
  readonly calls: string[] = []
  alarmAt: number | undefined

  readonly sql: OwnerStorage['sql'] = {
    exec: (query, ...values) => {
      if (query.trim().startsWith('INSERT INTO entry')) this.calls.push('entry')
      // `exec` of a Durable Object takes several statements, and only one of them may have values.
      if (values.length > 0 || query.trim().startsWith('SELECT')) {
        const rows = this.#database.prepare(query).all(...values) as Record<string, unknown>[]
        return { toArray: () => rows }
      }
      this.#database.exec(query)
      return { toArray: () => [] }
    },
  }

  transactionSync<T>(work: () => T): T {
    return work()
  }

  async sync(): Promise<void> {}

  async setAlarm(at: number): Promise<void> {
    this.alarmAt = at
    this.calls.push('alarm')
  }

  async deleteAlarm(): Promise<void> {
    this.alarmAt = undefined
    this.calls.push('no alarm')
  }

  async get(key: string): Promise<unknown> {
    return this.#values.get(key)
  }

  async put(key: string, value: number): Promise<void> {
    this.#values.set(key, value)
  }
}

interface Scripted {
  /** Called for each alarm; returns when the next delivery is due. */
  sendDue?(queue: Queue): Promise<number | undefined>
  tidy?(): Promise<void>
  isOff?: boolean
}

function setUp({ sendDue = async () => undefined, tidy = async () => {}, isOff = false }: Scripted = {}) {
  const storage = new Storage()
  const wake = vi.fn()
  const endRests = vi.fn()
  const makeRelay = vi.fn((queue: Queue) => ({ sendDue: () => sendDue(queue), tidy, wake, endRests }))
  const removed: string[] = []
  const spool = { remove: async (id: string) => void removed.push(id) }
  const part = { intake: isOff ? undefined : {}, makeRelay, spool }
  const open = vi.fn(() => part as unknown as RelayPart)
  return { storage, open, removed, makeRelay, wake, endRests, owner: new QueueOwner(storage, open) }
}

test('an alarm for now is set before the entry is there', async () => {
  const { storage, owner } = setUp()
  const before = Date.now()
  await owner.add([ENTRY])
  expect(storage.calls).toEqual(['alarm', 'entry'])
  expect(storage.alarmAt).toBeGreaterThanOrEqual(before)
  expect(storage.alarmAt).toBeLessThanOrEqual(Date.now())
})

test('while the object sends, an alarm stands that begins again if the object ends', async () => {
  const standing: (number | undefined)[] = []
  const { storage, owner } = setUp({
    async sendDue() {
      standing.push(storage.alarmAt)
      return undefined
    },
  })
  await owner.alarm()
  expect(standing).toEqual([expect.any(Number)])
  expect(storage.calls).toEqual(['alarm', 'no alarm'])
})

test('the next alarm is for the time when the next delivery is due', async () => {
  const { storage, owner } = setUp({ sendDue: async () => 4_102_444_800_000 })
  await owner.alarm()
  expect(storage.alarmAt).toBe(4_102_444_800_000)
})

test('an entry that comes while the object sends wakes it, and its end sets an alarm for now', async () => {
  const { storage, owner, wake } = setUp({
    async sendDue() {
      if (wake.mock.calls.length > 0) return undefined
      await owner.add([ENTRY])
      return undefined
    },
  })
  await owner.alarm()
  expect(wake).toHaveBeenCalledTimes(1)
  expect(storage.alarmAt).toBeLessThanOrEqual(Date.now())
  await owner.alarm()
  expect(storage.alarmAt).toBeUndefined()
})

test('a wrong setting is logged and loses nothing: the alarm is set again', async () => {
  const said = vi.spyOn(console, 'error').mockReturnValue(undefined)
  const { storage, owner, open } = setUp()
  open.mockImplementation(() => {
    throw new Error('POSTERN_RELAY: "x" is not the URL of a smarthost')
  })
  await owner.add([ENTRY])
  const before = Date.now()
  await owner.alarm()
  expect(storage.alarmAt).toBeGreaterThan(before)
  expect(said).toHaveBeenCalledWith(expect.stringContaining('POSTERN_RELAY'))
  said.mockRestore()
  expect((await owner.list({})).entries.map(({ id }) => id)).toEqual(['MESSAGE1'])
})

test('a relay that is off keeps the mail and looks again later, and an empty queue sets no alarm', async () => {
  const said = vi.spyOn(console, 'warn').mockReturnValue(undefined)
  const { storage, owner, makeRelay } = setUp({ isOff: true })
  await owner.alarm()
  expect(storage.alarmAt).toBeUndefined()
  await owner.add([ENTRY])
  await owner.alarm()
  expect(storage.alarmAt).toBeGreaterThan(Date.now())
  expect(said).toHaveBeenCalledWith(expect.stringContaining('POSTERN_RELAY is off'))
  said.mockRestore()
  expect(makeRelay).not.toHaveBeenCalled()
})

test('one relay serves all alarms, and the spool is tidied once a day', async () => {
  const tidy = vi.fn(async () => {})
  const { owner, makeRelay } = setUp({ tidy })
  for (let n = 0; n < 3; n++) await owner.alarm()
  expect([makeRelay.mock.calls.length, tidy.mock.calls.length]).toEqual([1, 1])
})

test('a retry ends the rests of destinations and sets an alarm for now, and a deleted entry is gone', async () => {
  const { storage, owner, endRests } = setUp({ sendDue: async () => 4_102_444_800_000 })
  await owner.add([ENTRY])
  await owner.alarm()
  expect(await owner.change('retry', { ids: ['MESSAGE1', 'OTHER'] })).toBe(1)
  expect(endRests).toHaveBeenCalledTimes(1)
  expect(storage.alarmAt).toBeLessThanOrEqual(Date.now())
  expect(await owner.change('hold', { destination: 'other.example' })).toBe(0)
  expect(await owner.change('hold', { destination: 'far.example' })).toBe(1)
  expect(await owner.change('retry', { ids: ['MESSAGE1'] })).toBe(0)
  expect(await owner.stats()).toMatchObject({ entries: 1, deliveries: { held: 1 } })
  expect(await owner.change('delete', { all: true })).toBe(1)
  expect(await owner.show('MESSAGE1')).toBeUndefined()
})

test('the first alarm removes an entry that was finished when the object ended, and its message', async () => {
  const { storage, owner, open, removed } = setUp({
    async sendDue(queue) {
      const now = Date.now()
      const [claim] = await queue.claim({ now, max: 1, leaseMs: 1_000 })
      if (claim === undefined) return undefined
      const reply = { at: now, code: 250, enhancedCode: '2.0.0', text: 'OK', host: 'far.example' }
      await queue.settle([{ claim, results: [{ index: 0, state: 'relayed', reply }] }])
      return undefined
    },
  })
  await owner.add([ENTRY])
  await owner.alarm()
  expect([(await owner.stats()).deliveries.finished, removed]).toEqual([1, []])
  const next = new QueueOwner(storage, open)
  await next.alarm()
  expect([(await next.stats()).entries, removed]).toEqual([0, ['MESSAGE1']])
})
