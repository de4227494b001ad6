/** Messages that loop: RFC 5321 6.3. Each server adds a Received field, so a message with many of them has been here before. */
import type { Vector } from '../vector.ts'
import { DATA, RCPT } from './lines.ts'

const RECEIVED = 'Received: by x\r\n'
const TWO = { limits: { maxReceivedFields: 2 } } as const

/** The name of the vector, and a message with two Received fields or fewer. */
const FEW: readonly (readonly [string, string])[] = [
  ['as many fields as are allowed', `${RECEIVED}A: b\r\n${RECEIVED}\r\nbody\r\n`],
  ['fields of other names', `${RECEIVED}Received-SPF: pass\r\nX-Received: x\r\nReceive: x\r\nReceivedd: x\r\n\r\n`],
  ['a folded line that looks like a field', `A: b\r\n ${RECEIVED}\t${RECEIVED} ${RECEIVED}\r\n`],
  ['lines of the body that look like fields', `A: b\r\n\r\n${RECEIVED.repeat(5)}`],
  ['no header', `\r\n${RECEIVED.repeat(5)}`],
] as const

/** The name of the vector, and a message with three Received fields. */
const MANY: readonly (readonly [string, string])[] = [
  ['one field too many', `${RECEIVED.repeat(3)}\r\nbody\r\n`],
  ['one field too many, and no body', RECEIVED.repeat(3)],
  [
    'fields in any case, folded, between others',
    `RECEIVED: a\r\n b\r\nA: b\r\nreceived:\r\nSubject: x\r\nrEcEiVeD:x\r\n\r\n`,
  ],
  ['a line before the fields that is not one', `From me\r\n${RECEIVED.repeat(3)}\r\n`],
] as const

export const loops: readonly Vector[] = [
  ...FEW.flatMap(([name, text]): Vector[] => [
    {
      name: `${name}: accepted by DATA`,
      row: 'mail loop',
      profile: TWO,
      before: DATA,
      send: `${text}.\r\n`,
      expect: ['250 2.0.0'],
      kept: [text],
    },
    {
      name: `${name}: accepted by BDAT`,
      row: 'mail loop',
      profile: TWO,
      before: RCPT,
      send: `BDAT ${text.length} LAST\r\n${text}`,
      expect: ['250 2.0.0'],
      kept: [text],
    },
  ]),
  ...MANY.flatMap(([name, text]): Vector[] => [
    {
      name: `${name}: refused by DATA, and the session goes on`,
      row: 'mail loop',
      profile: TWO,
      before: DATA,
      send: `${text}.\r\nMAIL FROM:<>\r\n`,
      expect: ['554 5.4.6', '250 2.1.0'],
      reached: ['lost mail-loop', 'mail <>'],
      kept: [],
    },
    {
      name: `${name}: refused by BDAT, and the session goes on`,
      row: 'mail loop',
      profile: TWO,
      before: RCPT,
      send: `BDAT ${text.length} LAST\r\n${text}MAIL FROM:<>\r\n`,
      expect: ['554 5.4.6', '250 2.1.0'],
      reached: ['data', 'lost mail-loop', 'mail <>'],
      kept: [],
    },
  ]),
  {
    name: 'a field that is cut into two chunks counts',
    row: 'mail loop',
    profile: TWO,
    before: RCPT,
    send: `BDAT 37\r\n${RECEIVED.repeat(2)}ReceiBDAT 4\r\nved:BDAT 9 LAST\r\n c\r\n\r\nb\r\n`,
    expect: ['250 2.0.0', '554 5.4.6', '503 5.5.1'],
    kept: [],
  },
  {
    name: 'a hundred fields are accepted by default, and one more is not',
    row: 'mail loop',
    before: DATA,
    send: `${RECEIVED.repeat(100)}\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<b@x>\r\nDATA\r\n${RECEIVED.repeat(101)}\r\n.\r\n`,
    expect: ['250 2.0.0', '250 2.1.0', '250 2.1.5', '354', '554 5.4.6'],
  },
]
