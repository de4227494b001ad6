import type { DsnNotify } from '@postern/engine'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Action, dueReports, type RecipientOutcome, type ReportableEntry } from '../../src/report/index.ts'

const QUEUED = Date.UTC(2026, 11, 1)
const STATUS: Readonly<Record<Action, string>> = {
  failed: '5.1.1',
  delayed: '4.4.1',
  relayed: '2.1.9',
  delivered: '2.1.5',
}

interface Wish {
  readonly notify?: readonly DsnNotify[]
  readonly isDelayNotified?: boolean
}

function entryOf(wish: Wish, envelope: Partial<ReportableEntry['envelope']> = {}): ReportableEntry {
  return {
    queuedAt: QUEUED,
    envelope: { reversePath: 'ann@sender.example', body: '7BIT', smtpUtf8: false, ...envelope },
    recipients: [{ index: 3, address: 'bob@example.net', isDelayNotified: false, ...wish }],
  }
}

function outcome(action: Action, more: Partial<RecipientOutcome> = {}): RecipientOutcome {
  return { index: 3, action, status: STATUS[action], ...(action === 'delayed' && { isDelayNoticeDue: true }), ...more }
}

function kinds(entry: ReportableEntry, ...outcomes: readonly RecipientOutcome[]): readonly string[] {
  return dueReports(entry, outcomes).map(({ kind }) => kind)
}

describe('the report that is due', () => {
  test.each<[string, readonly DsnNotify[] | undefined, Action, readonly string[]]>([
    ['a failure is reported if the sender did not say', undefined, 'failed', ['failed']],
    ['a long delay is reported if the sender did not say', undefined, 'delayed', ['delayed']],
    ['a delivery is not reported if the sender did not say', undefined, 'delivered', []],
    ['a relaying is not reported if the sender did not say', undefined, 'relayed', []],
    ['a failure is reported if it was asked for', ['FAILURE'], 'failed', ['failed']],
    ['a delay is not reported if only failures were asked for', ['FAILURE'], 'delayed', []],
    ['a failure is not reported if only delays were asked for', ['DELAY'], 'failed', []],
    ['a failure is not reported if only successes were asked for', ['SUCCESS'], 'failed', []],
    ['a delivery is reported if successes were asked for', ['SUCCESS'], 'delivered', ['success']],
    ['a relaying to a server without DSN is reported if successes were asked for', ['SUCCESS'], 'relayed', ['success']],
    ['a failure is never reported if NOTIFY=NEVER', ['NEVER'], 'failed', []],
    ['a delay is never reported if NOTIFY=NEVER', ['NEVER'], 'delayed', []],
    ['a delivery is never reported if NOTIFY=NEVER', ['NEVER'], 'delivered', []],
  ])('%s', (_, notify, action, expected) => {
    expect(kinds(entryOf(notify === undefined ? {} : { notify }), outcome(action))).toEqual(expected)
  })

  test('a relaying to a server that was given NOTIFY is left to that server', () => {
    expect(kinds(entryOf({ notify: ['SUCCESS'] }), outcome('relayed', { passesNotify: true }))).toEqual([])
  })

  test('a delay is not reported a second time', () => {
    expect(kinds(entryOf({ isDelayNotified: true }), outcome('delayed'))).toEqual([])
  })

  test('a delay is not reported before the schedule says so', () => {
    expect(kinds(entryOf({}), outcome('delayed', { isDelayNoticeDue: false }))).toEqual([])
  })

  test('a relaying is reported if DELIVERBY asks for a trace, unless NOTIFY leaves out successes', () => {
    const deliverBy = { deadline: QUEUED + 3_600_000, mode: 'return', trace: true } as const
    const relayed = outcome('relayed', { passesNotify: true })
    expect(kinds(entryOf({}, { deliverBy }), relayed)).toEqual(['success'])
    expect(kinds(entryOf({ notify: ['FAILURE'] }, { deliverBy }), relayed)).toEqual([])
    expect(kinds(entryOf({ notify: ['NEVER'] }, { deliverBy }), relayed)).toEqual([])
  })

  test('recipients with the same fate share one report, which has what was asked for and what happened', () => {
    const entry: ReportableEntry = {
      ...entryOf({}),
      recipients: [0, 1, 2].map((index) => ({ index, address: `user${index}@example.net`, isDelayNotified: false })),
    }
    const outcomes = [
      outcome('failed', { index: 2 }),
      outcome('delayed', { index: 1 }),
      outcome('failed', { index: 0 }),
    ]
    expect(dueReports(entry, outcomes)).toEqual([
      {
        kind: 'failed',
        recipients: [
          { index: 2, address: 'user2@example.net', action: 'failed', status: '5.1.1' },
          { index: 0, address: 'user0@example.net', action: 'failed', status: '5.1.1' },
        ],
      },
      {
        kind: 'delayed',
        recipients: [
          { index: 1, address: 'user1@example.net', action: 'delayed', status: '4.4.1', isDelayNoticeDue: true },
        ],
      },
    ])
  })

  test('an outcome for a recipient that the entry does not have is a mistake of the caller', () => {
    expect(() => kinds(entryOf({}), outcome('failed', { index: 4 }))).toThrow(RangeError)
  })

  test('nobody gets a report about a message from <>, whatever happened and was asked for', () => {
    const notify = fc.option(fc.subarray<DsnNotify>(['SUCCESS', 'FAILURE', 'DELAY'], { minLength: 1 }), {
      nil: undefined,
    })
    const action = fc.constantFrom<Action>('failed', 'delayed', 'relayed', 'delivered')
    fc.assert(
      fc.property(notify, action, (notify, action) => {
        const entry = entryOf(notify === undefined ? {} : { notify }, { reversePath: '' })
        expect(dueReports(entry, [outcome(action)])).toEqual([])
      }),
    )
  })
})
