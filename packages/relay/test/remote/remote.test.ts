/** What other servers may do, one row each, and what becomes of the message, of the queue and of the sender. docs/relay.md has the table. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { runRow, TEXT } from './row.ts'
import { GROUPS } from './rows.ts'
import { FILE, withTables } from './table.ts'

describe.each(Object.entries(GROUPS))('%s', (_, rows) => {
  test.concurrent.each(rows)('$name: the relay does what the table says', async (row) => {
    const { wire, becomes, report = {}, lines = [], unanswered = 0 } = row
    const outcome = await runRow(row)
    expect(outcome.wire).toEqual(wire)
    for (const line of lines) expect(outcome.lines).toContain(line)
    expect(outcome.becomes).toEqual(becomes)
    const isDelivered = Object.values(becomes).some((state) => state.startsWith('delivered'))
    expect(outcome.taken).toHaveLength(row.copies ?? (isDelivered ? 1 : 0))
    const whole = row.text ?? TEXT
    for (const text of outcome.taken) expect(text === whole).toBe(true)
    const reported = outcome.reports.flat().map(({ recipient, action, status, diagnostic }) => {
      expect(action).toBe('failed')
      return [recipient.slice(0, recipient.indexOf('@')), [status, diagnostic]]
    })
    expect(Object.fromEntries(reported)).toEqual(report)
    const isWaiting = Object.values(becomes).some((state) => state.startsWith('waits'))
    expect(outcome.left).toEqual(isWaiting ? [1, 1] : [0, 0])
    expect(outcome.unanswered).toBe(unanswered)
    if (row.tlsCounts !== undefined) expect(outcome.tlsCounts).toEqual(row.tlsCounts)
  })
})

test('docs/relay.md has the table of these rows', () => {
  // If not: node packages/relay/test/remote/table.ts
  const document = readFileSync(FILE, 'utf8')
  expect(document).toBe(withTables(document, GROUPS))
})
