/** The engine's client logs in by SCRAM with any password for which an account's record can be made: two implementations of SASLprep agree. */
import { saslprep } from '@mongodb-js/saslprep'
import { type Accounts, MECHANISMS } from '@postern/engine'
import { CLIENT_MECHANISMS } from '@postern/engine/client'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { makeScramRecord } from '../src/directory/scram.ts'

const client = CLIENT_MECHANISMS.find(({ name }) => name === 'SCRAM-SHA-256')
const server = MECHANISMS['SCRAM-SHA-256']
const ITERATIONS = 4096

/** Returns whether the client logs in at a server that has the record of this password. */
async function logsIn(password: string): Promise<boolean> {
  const record = await makeScramRecord(password, ITERATIONS)
  const accounts: Accounts = { scramKeys: () => record }
  const ours = client?.start({ username: 'ann', password }, { host: '', port: 0, offersChannelBinding: false })
  const theirs = server.start(accounts, { hostname: 'mx.example', offersChannelBinding: false })
  let step = await theirs.next(await ours?.initial())
  while ('challenge' in step) step = await theirs.next(await ours?.next(step.challenge))
  return 'user' in step
}

/** Returns what the library's SASLprep says of a text. 'order' is about right-to-left letters, which the client does not check. */
function judged(text: string): 'allowed' | 'order' | 'refused' {
  try {
    return saslprep(text, { allowUnassigned: true }) === '' ? 'refused' : 'allowed'
  } catch (error) {
    return /RandALCat/.test((error as Error).message) ? 'order' : 'refused'
  }
}

test('the client logs in with any password that an account may have', async () => {
  const password = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }),
    fc.string({
      unit: fc.constantFrom('a', '\u00a0', '\u200b', '\u00ad', '\u2168', 'ﬁ', '\u1806', 'ｅ', '\u0301'),
      minLength: 1,
    }),
  )
  await fc.assert(
    fc.asyncProperty(password, async (text) => {
      fc.pre(judged(text) === 'allowed')
      expect(await logsIn(text)).toBe(true)
    }),
    { numRuns: 150 },
  )
})

test('the client refuses each character that SASLprep prohibits', () => {
  const wrong: string[] = []
  // The library allows U+FFFFE and U+FFFFF, which RFC 3454 C.4 prohibits.
  const ranges = [
    [0, 0x1_ffff],
    [0xe_0000, 0xe_01ff],
    [0x10_fff0, 0x10_ffff],
  ] as const
  const codes = ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, at) => first + at))
  for (const code of codes) {
    const text = String.fromCodePoint(code)
    let isStarted = true
    try {
      client?.start({ username: 'ann', password: text }, { host: '', port: 0, offersChannelBinding: false })
    } catch {
      isStarted = false
    }
    if (isStarted !== (judged(text) !== 'refused')) wrong.push(code.toString(16))
  }
  expect(wrong).toEqual([])
})
