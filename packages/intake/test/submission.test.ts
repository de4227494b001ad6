/** Messages of users: the fields that are added, and the bytes that stay as they are, whatever the packets were. */
import type { Message, Session } from '@postern/engine'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AddressBook } from '../src/guards/accounts.ts'
import { completed } from '../src/submission.ts'

const BOOK: AddressBook = {
  resolve: () => ({ kind: 'unknown' }),
  maySendAs: async (user, { localPart, domain }) => [user, 'sales@example.com'].includes(`${localPart}@${domain}`),
}
const TRACE = 'Received: from x\r\n'
const DATE = 'Date: Thu, 01 Jan 1970 00:00:00 +0000'
const ID = 'Message-ID: <01ID@mx.example.com>'

/** A message that arrives in pieces. Each view is overwritten by the next read, as the engine's may be. */
function arriving(pieces: readonly Uint8Array[]): Message {
  const left = [...pieces]
  let last: Uint8Array | undefined
  return {
    id: '01ID',
    receivedAt: new Date(0),
    trace: Buffer.from(TRACE),
    read() {
      last?.fill(0)
      last = left.shift()?.slice()
      return last ?? null
    },
  } as unknown as Message
}

async function kept(pieces: readonly Uint8Array[], user = 'jane@example.com', book = BOOK): Promise<string> {
  const session = { user } as Session
  const mail = await completed(arriving(pieces), session, { hostname: 'mx.example.com', book: () => book })
  const all = [Buffer.from(mail.trace)]
  for (let bytes = await mail.read(); bytes !== null; bytes = await mail.read()) all.push(Buffer.from(bytes))
  return Buffer.concat(all).toString('latin1')
}

const FULL = 'Date: x\r\nMessage-ID: <a@b>\r\nFrom: Jane <jane@example.com>\r\n'

test.each<[string, string, string[]]>([
  ['nothing', `${FULL}\r\nHello\r\n`, []],
  [
    'nothing, although fields are in any case and order',
    'FROM : jane@example.com\r\nmessage-id:<x>\r\nDATE: x\r\n\r\n',
    [],
  ],
  ['Date', FULL.replace('Date', 'X-Date') + '\r\n', [DATE]],
  ['Message-ID', FULL.replace('Message-ID', 'X') + '\r\n', [ID]],
  ['From', FULL.replace('From', 'X') + '\r\n', ['From: <jane@example.com>']],
  ['all of them to a message without a header', '\r\nFrom: x\r\n', [DATE, ID, 'From: <jane@example.com>']],
  ['all of them to a message that is empty', '', [DATE, ID, 'From: <jane@example.com>']],
  ['Sender, if From is of somebody else', FULL.replace('jane@', 'boss@') + '\r\n', ['Sender: <jane@example.com>']],
  [
    'no Sender, if one of several addresses of From is theirs',
    FULL.replace('<jane', 'boss@example.com, <sales') + '\r\n',
    [],
  ],
  // A user hides the own address where no reader looks, and writes as somebody else.
  ...[
    'jane@example.com <boss@example.com>',
    '"to jane@example.com now" <boss@example.com>',
    '(jane@example.com) boss@example.com',
    '"(" <boss@example.com> (jane@example.com)',
    '(") <boss@example.com> (") jane@example.com',
    '<boss@example.com> jane@example.com',
    '<boss@example.com> <jane@example.com>',
    'jane@example.com: boss@example.com;',
    'boss@example.com\r\nFrom: jane@example.com',
    'jane@example.com\r\nFrom: boss@example.com',
  ].map((from): [string, string, string[]] => [
    `Sender, if From is ${JSON.stringify(from)}`,
    FULL.replace('Jane <jane@example.com>', from) + '\r\n',
    ['Sender: <jane@example.com>'],
  ]),
  ...[
    '"a, \\"b" (x (y) <z>) <jane@example.com> (c)',
    'Friends: boss@example.com, Jane <jane@example.com>;',
    '"x" <"jane"@example.com>',
    '<@a.example,@b.example:jane@example.com>',
  ].map((from): [string, string, string[]] => [
    `no Sender, if From is ${JSON.stringify(from)}`,
    FULL.replace('Jane <jane@example.com>', from) + '\r\n',
    [],
  ]),
  ['no Sender, if the address is on a folded line', FULL.replace('Jane <', 'Jane\r\n\t <') + '\r\n', []],
  ['no Sender, if there is one', `${FULL.replace('jane@', 'boss@')}Sender: x\r\n\r\n`, []],
  ['no second Date, if there are two', `Date: y\r\n${FULL}\r\n`, []],
])('adds %s', async (_, sent, added) => {
  const expected = TRACE + added.map((line) => `${line}\r\n`).join('') + sent
  expect(await kept([Buffer.from(sent)])).toBe(expected)
  expect(await kept([...Buffer.from(sent)].map((octet) => Uint8Array.of(octet)))).toBe(expected)
})

test('adds no field with a name that is not an address', async () => {
  for (const user of ['jane', 'a b@example.com', 'x>,<y@example.com', 'ü@example.com']) {
    expect(await kept([Buffer.from('\r\nx')], user)).toBe(`${TRACE}${DATE}\r\n${ID}\r\n\r\nx`)
  }
})

test('a header that is too long stays as it is', async () => {
  const sent = `X: ${'y'.repeat(300_000)}\r\n\r\nbody`
  const text = await kept([Buffer.from(sent.slice(0, 290_000)), Buffer.from(sent.slice(290_000))])
  expect(text === TRACE + sent).toBe(true)
})

test('the bytes behind the added fields are those that were sent, wherever they were cut', async () => {
  const piece = fc.constantFrom('a', 'From: x', '\r\n', '\r', '\n', ' ', ':', '\u00ff', 'Date: y\r\n')
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(piece, { maxLength: 6 }).map((parts) => parts.join(''))), async (parts) => {
      const text = await kept(parts.map((part) => Buffer.from(part, 'latin1')))
      expect(text.startsWith(TRACE)).toBe(true)
      expect(text.endsWith(parts.join(''))).toBe(true)
      const added = text.slice(TRACE.length, text.length - parts.join('').length)
      expect(added).toMatch(/^(?:(?:Date|Message-ID|From|Sender): [^\r\n]+\r\n)*$/)
    }),
  )
})
