/** The lines of MAIL and RCPT, and what the client does if the server does not offer what they need. */
import { describe, expect, test } from 'vitest'
import { readHello } from '../../src/protocol/client/capabilities.ts'
import type { OutgoingEnvelope, OutgoingRecipient } from '../../src/protocol/client/outgoing.ts'
import { type MessageFacts, planTransaction } from '../../src/protocol/client/plan.ts'
import { serverReply } from '../../src/protocol/client/server-reply.ts'

const GREETING = serverReply(220, ['mx.example.com'])
const TEXT: MessageFacts = { octets: 100, has8Bit: false, hasUtf8Header: false }
const STREAM: MessageFacts = { hasUtf8Header: false }
const ALL = [
  'SIZE 1000',
  '8BITMIME',
  'SMTPUTF8',
  'CHUNKING',
  'BINARYMIME',
  'DSN',
  'REQUIRETLS',
  'MT-PRIORITY',
  'DELIVERBY',
]

function plan(
  envelope: Partial<OutgoingEnvelope>,
  offered: readonly string[],
  facts: MessageFacts = TEXT,
): ReturnType<typeof planTransaction> {
  const server = readHello(GREETING, serverReply(250, ['mx.example.com', ...offered]))
  const whole = { reversePath: 'a@x.example', forwardPaths: ['b@y.example'], ...envelope }
  return planTransaction(whole, facts, server, { isVerified: true })
}

/** The line of MAIL, or what the server lacks. */
function mail(envelope: Partial<OutgoingEnvelope>, offered: readonly string[], facts?: MessageFacts): string {
  const planned = plan(envelope, offered, facts)
  return 'lacks' in planned ? `lacks: ${planned.lacks}` : planned.mail.replace('MAIL FROM:<a@x.example>', 'MAIL')
}

function rcpt(recipient: string | OutgoingRecipient, offered: readonly string[], smtpUtf8 = false): string {
  const planned = plan({ forwardPaths: [recipient], smtpUtf8 }, offered)
  return 'lacks' in planned ? planned.lacks : (planned.rcpts[0] as string).replace('RCPT TO:', '')
}

const EIGHT: MessageFacts = { ...TEXT, has8Bit: true }
const LINES: MessageFacts = { ...EIGHT, hasLines: true }
const HEADER: MessageFacts = { ...EIGHT, hasUtf8Header: true }
const UNTIL = new Date('2030-01-02T03:04:05.678Z')

test.each<[string, Partial<OutgoingEnvelope>, readonly string[], MessageFacts | undefined, string]>([
  ['plain text, to a server with nothing', {}, [], TEXT, 'MAIL'],
  ['plain text, to a server with all', {}, ALL, TEXT, 'MAIL SIZE=100'],
  ['a stream, to a server with all', {}, ALL, STREAM, 'MAIL BODY=8BITMIME'],
  ['a stream, to a server with nothing', {}, [], STREAM, 'MAIL'],
  ['a declared size', { size: 7 }, ALL, STREAM, 'MAIL SIZE=7 BODY=8BITMIME'],
  ['a declared size, to a server without SIZE', { size: 7 }, [], STREAM, 'MAIL'],
  [
    'a size over the bound',
    { size: 1_001 },
    ALL,
    STREAM,
    'lacks: the message has 1001 octets, and the server takes 1000',
  ],
  ['SIZE 0 bounds nothing', { size: 1_001 }, ['SIZE 0'], STREAM, 'MAIL SIZE=1001'],
  ['8-bit text', {}, ALL, EIGHT, 'MAIL SIZE=100 BODY=8BITMIME'],
  ['8-bit text without 8BITMIME', {}, [], EIGHT, 'lacks: the server does not offer 8BITMIME'],
  ['ASCII declared as 8-bit', { bodyType: '8BITMIME' }, [], TEXT, 'MAIL'],
  ['a stream declared as 8-bit', { bodyType: '8BITMIME' }, [], STREAM, 'lacks: the server does not offer 8BITMIME'],
  ['a stream declared as 7-bit', { bodyType: '7BIT' }, ['8BITMIME'], STREAM, 'MAIL BODY=7BIT'],
  ['binary', { bodyType: 'BINARYMIME' }, ALL, EIGHT, 'MAIL SIZE=100 BODY=BINARYMIME'],
  [
    'binary without BDAT',
    { bodyType: 'BINARYMIME' },
    ['BINARYMIME'],
    EIGHT,
    'lacks: the server does not offer BINARYMIME',
  ],
  ['binary that is text', { bodyType: 'BINARYMIME' }, ALL, LINES, 'MAIL SIZE=100 BODY=BINARYMIME'],
  ['binary that is text, without BINARYMIME', { bodyType: 'BINARYMIME' }, ['8BITMIME'], LINES, 'MAIL BODY=8BITMIME'],
  [
    'binary that is text, without 8BITMIME',
    { bodyType: 'BINARYMIME' },
    ['CHUNKING'],
    LINES,
    'lacks: the server does not offer 8BITMIME',
  ],
  ['binary that is ASCII text', { bodyType: 'BINARYMIME' }, [], { ...LINES, has8Bit: false }, 'MAIL'],
  [
    'binary that is a stream',
    { bodyType: 'BINARYMIME' },
    ['8BITMIME'],
    STREAM,
    'lacks: the server does not offer BINARYMIME',
  ],
  ['a header in UTF-8', {}, ALL, HEADER, 'MAIL SIZE=100 BODY=8BITMIME SMTPUTF8'],
  ['a header in UTF-8 without SMTPUTF8', {}, ['8BITMIME'], HEADER, 'lacks: the server does not offer SMTPUTF8'],
  ['a header in UTF-8 that the caller allows', { smtpUtf8: false }, ['8BITMIME'], HEADER, 'MAIL BODY=8BITMIME'],
  ['SMTPUTF8 that the caller wants', { smtpUtf8: true }, ALL, STREAM, 'MAIL BODY=8BITMIME SMTPUTF8'],
  [
    'a local part in UTF-8, whatever the caller wants',
    { reversePath: 'ü@x.example', smtpUtf8: false },
    [],
    TEXT,
    'lacks: the server does not offer SMTPUTF8',
  ],
  ['the null reverse-path', { reversePath: '' }, [], TEXT, 'MAIL FROM:<>'],
  [
    'a local part in UTF-8',
    { reversePath: '\u00fc@x.example' },
    ALL,
    STREAM,
    'MAIL FROM:<\u00fc@x.example> BODY=8BITMIME SMTPUTF8',
  ],
  [
    'a local part in UTF-8 without SMTPUTF8',
    { reversePath: '\u00fc@x.example' },
    [],
    TEXT,
    'lacks: the server does not offer SMTPUTF8',
  ],
  ['a domain in UTF-8', { reversePath: 'a@b\u00fccher.example' }, [], TEXT, 'MAIL FROM:<a@xn--bcher-kva.example>'],
  [
    'a domain in UTF-8 beside a header in UTF-8',
    { reversePath: 'a@b\u00fccher.example' },
    ALL,
    HEADER,
    'MAIL FROM:<a@b\u00fccher.example> SIZE=100 BODY=8BITMIME SMTPUTF8',
  ],
  ['a quoted local part', { reversePath: '"a b"@x.example' }, [], TEXT, 'MAIL FROM:<"a b"@x.example>'],
  ['an untidy address that came in', { reversePath: 'a..b.@x.example' }, [], TEXT, 'MAIL FROM:<a..b.@x.example>'],
  ['RET and ENVID', { ret: 'HDRS', envelopeId: 'a+b=c d' }, ['DSN'], TEXT, 'MAIL RET=HDRS ENVID=a+2Bb+3Dc+20d'],
  ['RET and ENVID without DSN', { ret: 'HDRS', envelopeId: 'x' }, [], TEXT, 'MAIL'],
  ['REQUIRETLS', { requireTls: true }, ALL, STREAM, 'MAIL BODY=8BITMIME REQUIRETLS'],
  ['REQUIRETLS that is not offered', { requireTls: true }, [], TEXT, 'lacks: the server does not offer REQUIRETLS'],
  ['a priority', { priority: -9 }, ['MT-PRIORITY MIXER'], TEXT, 'MAIL MT-PRIORITY=-9'],
  ['a priority that is not offered', { priority: 3 }, [], TEXT, 'MAIL'],
  ['a deadline', { deliverBy: { seconds: 60, mode: 'return', trace: true } }, ['DELIVERBY'], TEXT, 'MAIL BY=60;RT'],
  ['a deadline in the past', { deliverBy: { seconds: -5, mode: 'notify' } }, ['DELIVERBY'], TEXT, 'MAIL BY=-5;N'],
  ['a deadline that may be dropped', { deliverBy: { seconds: 60, mode: 'notify' } }, [], TEXT, 'MAIL'],
  [
    'a deadline that may not',
    { deliverBy: { seconds: 60, mode: 'return' } },
    [],
    TEXT,
    'lacks: the server does not offer DELIVERBY',
  ],
  ['HOLDFOR', { holdFor: 60 }, ['FUTURERELEASE 100 2030-01-01T00:00:00Z'], TEXT, 'MAIL HOLDFOR=60'],
  ['HOLDUNTIL', { holdUntil: UNTIL }, ['FUTURERELEASE'], TEXT, 'MAIL HOLDUNTIL=2030-01-02T03:04:05Z'],
  ['HOLDFOR that is not offered', { holdFor: 60 }, [], TEXT, 'lacks: the server does not offer FUTURERELEASE'],
])('MAIL has %s', (_what, envelope, offered, facts, line) => {
  expect(mail(envelope, offered, facts)).toBe(line)
})

const OLD = { type: 'rfc822', address: 'old+tag@z.example' }
const OLD_UTF8 = { type: 'utf-8', address: '\u00fc+a=b\\@z.example' }

test.each<[string | OutgoingRecipient, readonly string[], boolean, string]>([
  ['postmaster', [], false, '<postmaster>'],
  ['b@[192.0.2.1]', [], false, '<b@[192.0.2.1]>'],
  ['b@b\u00fccher.example', [], false, '<b@xn--bcher-kva.example>'],
  ['b@b\u00fccher.example', ['SMTPUTF8'], true, '<b@b\u00fccher.example>'],
  [{ address: 'b@y.example', notify: ['NEVER'] }, ['DSN'], false, '<b@y.example> NOTIFY=NEVER'],
  [{ address: 'b@y.example', notify: ['SUCCESS', 'DELAY'] }, ['DSN'], false, '<b@y.example> NOTIFY=SUCCESS,DELAY'],
  [{ address: 'b@y.example', notify: ['NEVER'], originalRecipient: OLD }, [], false, '<b@y.example>'],
  [
    { address: 'b@y.example', originalRecipient: OLD },
    ['DSN'],
    false,
    '<b@y.example> ORCPT=rfc822;old+2Btag@z.example',
  ],
  [
    { address: 'b@y.example', originalRecipient: OLD_UTF8 },
    ['DSN'],
    false,
    '<b@y.example> ORCPT=utf-8;\\x{FC}\\x{2B}a\\x{3D}b\\x{5C}@z.example',
  ],
  [
    { address: 'b@y.example', originalRecipient: OLD_UTF8 },
    ['DSN', 'SMTPUTF8'],
    true,
    '<b@y.example> ORCPT=utf-8;\u00fc\\x{2B}a\\x{3D}b\\x{5C}@z.example',
  ],
])('RCPT of %j to a server with %j', (recipient, offered, smtpUtf8, line) => {
  expect(rcpt(recipient, offered, smtpUtf8)).toBe(line)
})

describe('an envelope that cannot be sent is a TypeError', () => {
  test.each<[Partial<OutgoingEnvelope>, string]>([
    [{ forwardPaths: [] }, 'forwardPaths: there is no recipient'],
    [{ forwardPaths: ['b@y.example', ''] }, 'forwardPaths[1]: "" is not an address'],
    [{ forwardPaths: ['b@y.example>\r\nRSET'] }, 'forwardPaths[0]: "b@y.example>\\r\\nRSET" is not an address'],
    [{ forwardPaths: ['b@y.example\r\n'] }, 'forwardPaths[0]: "b@y.example\\r\\n" is not an address'],
    [{ forwardPaths: ['b@y.example> NOTIFY=NEVER'] }, 'is not an address'],
    [{ forwardPaths: ['<b@y.example>'] }, 'is not an address'],
    [{ reversePath: 'a b@x.example' }, 'reversePath: "a b@x.example" is not an address'],
    [{ reversePath: '"a\r\n"@x.example' }, 'reversePath: '],
    [{ reversePath: 'a@\u212a\uff0fx.example' }, '"\u212a\uff0fx.example" is not a domain'],
    [{ ret: 'ALL' as 'FULL' }, 'ret: "ALL" is not FULL or HDRS'],
    [{ priority: 10 }, 'priority: 10 is not a whole number from -9 to 9'],
    [{ deliverBy: { seconds: 0, mode: 'return' } }, 'deliverBy.seconds: 0 is not'],
    [{ holdFor: 0.5 }, 'holdFor: 0.5 is not'],
    [{ holdFor: 5, holdUntil: UNTIL }, 'holdFor and holdUntil exclude each other'],
    [{ holdUntil: new Date(Number.NaN) }, 'holdUntil: not a valid Date'],
    [{ forwardPaths: [{ address: 'b@y.example', notify: ['NEVER', 'DELAY'] }] }, 'notify: '],
    [
      { forwardPaths: [{ address: 'b@y.example', originalRecipient: { type: 'a;b', address: 'c' } }] },
      'originalRecipient.type: ',
    ],
  ])('%j', (envelope, message) => {
    const attempt = (): unknown => plan(envelope, [...ALL, 'FUTURERELEASE'])
    expect(attempt).toThrow(TypeError)
    expect(attempt).toThrow(message)
  })
})

test('extensions are read in any spelling', () => {
  const lines = [
    'mx.example.com hello',
    'Size 10',
    'auth PLAIN',
    'AUTH=PLAIN LOGIN',
    '8bitmime ',
    '-bad',
    '',
    'X  a  b',
  ]
  const { name, extensions, maxMessageBytes } = readHello(GREETING, serverReply(250, lines))
  expect([name, maxMessageBytes]).toEqual(['mx.example.com', 10])
  expect(Object.fromEntries(extensions)).toEqual({
    SIZE: ['10'],
    AUTH: ['PLAIN', 'LOGIN'],
    '8BITMIME': [],
    X: ['a', 'b'],
  })
})
