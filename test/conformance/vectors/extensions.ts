/**
 * Extensions that a program adds because it keeps what they promise: RFC 2852, 4865, 6710, 8689. Also LIMITS (RFC 9422), which every
 * server has.
 */
import type { Profile } from '../recorder.ts'
import type { Row } from '../rows.ts'
import type { Vector } from '../vector.ts'
import { HELLO, MAIL } from './lines.ts'

interface Subject {
  readonly row: Row
  readonly profile: Profile
  /** The text behind the path, and the parameters that the hooks see. */
  readonly good: readonly (readonly [string, string])[]
  /** What gets 501 5.5.4. */
  readonly bad: readonly string[]
}

const SUBJECTS: readonly Subject[] = [
  {
    row: 'REQUIRETLS',
    profile: { extensions: ['REQUIRETLS'], implicitTls: true },
    good: [
      ['REQUIRETLS', 'REQUIRETLS'],
      ['requireTls SIZE=1', 'REQUIRETLS SIZE=1'],
    ],
    bad: ['REQUIRETLS=1', 'REQUIRETLS=', 'REQUIRETLS REQUIRETLS'],
  },
  {
    row: 'MT-PRIORITY',
    profile: { extensions: ['MT-PRIORITY'] },
    good: [
      ['MT-PRIORITY=0', 'MT-PRIORITY=0'],
      ['mt-priority=-9', 'MT-PRIORITY=-9'],
      ['MT-PRIORITY=9', 'MT-PRIORITY=9'],
    ],
    bad: [
      'MT-PRIORITY', 'MT-PRIORITY=', 'MT-PRIORITY=10', 'MT-PRIORITY=-10', 'MT-PRIORITY=+1', 'MT-PRIORITY=-0', 'MT-PRIORITY=01',
      'MT-PRIORITY=1.5', 'MT-PRIORITY=high', 'MT-PRIORITY=1 MT-PRIORITY=1', 'MT-PRIORITY=\u0661',
    ], // prettier-ignore
  },
  {
    row: 'DELIVERBY',
    profile: { extensions: ['DELIVERBY'] },
    good: [
      ['BY=120;R', 'BY=120;R'],
      ['by=60;rt', 'BY=60;rt'],
      ['BY=+3600;NT', 'BY=+3600;NT'],
      ['BY=0;N', 'BY=0;N'],
      ['BY=-999999999;N', 'BY=-999999999;N'],
      ['BY=000000120;R', 'BY=000000120;R'],
    ],
    bad: [
      'BY', 'BY=', 'BY=120', 'BY=120;', 'BY=120;X', 'BY=120;RX', 'BY=120;RTT', 'BY=;R', 'BY=R', 'BY=1234567890;N', 'BY=1.5;N', 'BY=0x10;N',
      'BY=--1;N', 'BY=120;R;T', 'BY=120,R', 'BY=0;R', 'BY=-1;R', 'BY=-0;RT', 'BY=120;R BY=120;R',
    ], // prettier-ignore
  },
  {
    row: 'FUTURERELEASE',
    profile: { extensions: ['FUTURERELEASE'] },
    good: [
      ['HOLDFOR=1', 'HOLDFOR=1'],
      ['holdfor=900000000', 'HOLDFOR=900000000'],
      ['HOLDUNTIL=2050-06-01T00:00:00Z', 'HOLDUNTIL=2050-06-01T00:00:00Z'],
      ['HOLDUNTIL=2048-02-29t23:59:59.5z', 'HOLDUNTIL=2048-02-29t23:59:59.5z'],
      ['HOLDUNTIL=2050-06-01T00:00:00+05:30', 'HOLDUNTIL=2050-06-01T00:00:00+05:30'],
    ],
    bad: [
      'HOLDFOR', 'HOLDFOR=', 'HOLDFOR=0', 'HOLDFOR=-1', 'HOLDFOR=+1', 'HOLDFOR=01', 'HOLDFOR=1.5', 'HOLDFOR=1234567890', 'HOLDFOR=1h',
      'HOLDFOR=1 HOLDFOR=1', 'HOLDFOR=1 HOLDUNTIL=2050-06-01T00:00:00Z', 'HOLDUNTIL=2050-06-01T00:00:00Z HOLDFOR=1',
      // Too far: the server holds mail for 900,000,000 seconds.
      'HOLDFOR=900000001', 'HOLDUNTIL=9999-12-31T23:59:59Z',
      // In the past.
      'HOLDUNTIL=1999-12-31T23:59:59Z', 'HOLDUNTIL=0000-01-01T00:00:00Z',
      'HOLDUNTIL', 'HOLDUNTIL=', 'HOLDUNTIL=2050', 'HOLDUNTIL=2050-06-01', 'HOLDUNTIL=2050-06-01T00:00Z', 'HOLDUNTIL=2050-06-01T00:00:00',
      'HOLDUNTIL=2050-02-30T00:00:00Z', 'HOLDUNTIL=2049-02-29T00:00:00Z', 'HOLDUNTIL=2050-13-01T00:00:00Z', 'HOLDUNTIL=2050-06-00T00:00:00Z',
      'HOLDUNTIL=2050-06-01T24:00:00Z', 'HOLDUNTIL=2050-06-01T00:60:00Z', 'HOLDUNTIL=2050-06-01T00:00:60Z', 'HOLDUNTIL=2050-06-01T00:00:00+25:00',
      'HOLDUNTIL=+002050-06-01T00:00:00Z', 'HOLDUNTIL=2050-6-1T0:0:0Z', 'HOLDUNTIL=20500601T000000Z', 'HOLDUNTIL=2538432000',
      'HOLDUNTIL=Sun,1Jun2050', 'HOLDUNTIL=2050-06-01T00:00:00Zulu', 'HOLDUNTIL=\u0662050-06-01T00:00:00Z',
    ], // prettier-ignore
  },
]

export const extensions: readonly Vector[] = [
  ...SUBJECTS.flatMap(({ row, profile, good, bad }): Vector[] => [
    ...good.map(([text, seen]): Vector => ({
      name: `${text} is accepted`,
      row,
      profile,
      before: HELLO,
      send: `MAIL FROM:<a@example.org> ${text}\r\n`,
      expect: ['250 2.1.0'],
      reached: [`mail <a@example.org> ${seen}`],
    })),
    ...bad.map((text): Vector => ({
      name: `${text} is refused`,
      row,
      profile,
      before: HELLO,
      send: `MAIL FROM:<a@example.org> ${text}\r\nMAIL FROM:<a@example.org>\r\n`,
      expect: ['501 5.5.4', '250 2.1.0'],
      reached: ['mail <a@example.org>'],
    })),
    {
      name: 'it is not a parameter of RCPT',
      row,
      profile,
      before: MAIL,
      send: `RCPT TO:<b@example.org> ${good[0]?.[0]}\r\n`,
      expect: ['555 5.5.4'],
      reached: [],
    },
    {
      name: 'it is unknown where the program does not add it',
      row,
      profile: { ...profile, extensions: [] },
      before: HELLO,
      send: good.map(([text]) => `MAIL FROM:<a@example.org> ${text}\r\n`).join(''),
      expect: good.map(() => '555 5.5.4'),
      reached: [],
    },
    {
      name: 'it is unknown where it is switched off',
      row,
      profile: { ...profile, disabled: [row] },
      before: HELLO,
      send: good.map(([text]) => `MAIL FROM:<a@example.org> ${text}\r\n`).join(''),
      expect: good.map(() => '555 5.5.4'),
      reached: [],
    },
  ]),
  {
    name: 'it is unknown without TLS',
    row: 'REQUIRETLS',
    profile: { extensions: ['REQUIRETLS'] },
    before: HELLO,
    send: 'MAIL FROM:<a@example.org> REQUIRETLS\r\n',
    expect: ['555 5.5.4'],
    reached: [],
  },
  {
    name: 'a deadline that is too soon is refused if mail comes back after it, and accepted if it does not',
    row: 'DELIVERBY',
    profile: { extensions: ['DELIVERBY'] },
    before: HELLO,
    send: 'MAIL FROM:<a@example.org> BY=59;R\r\nMAIL FROM:<a@example.org> BY=59;N\r\n',
    expect: ['555 5.5.4', '250 2.1.0'],
    reached: ['mail <a@example.org> BY=59;N'],
  },
  {
    name: 'the longest parameters of all extensions fit in a line',
    row: 'command line over the limit',
    profile: { extensions: ['DSN', 'MT-PRIORITY', 'DELIVERBY', 'FUTURERELEASE'] },
    before: HELLO,
    send: `MAIL FROM:<${'a'.repeat(498)}@b> MT-PRIORITY=-9 BY=-999999999;NT HOLDUNTIL=2050-06-01T00:00:00Z\r\n`,
    expect: ['250 2.1.0'],
  },
  {
    name: 'DSN is unknown where the program does not add it',
    row: 'parameter of an extension that is not on offer',
    profile: { extensions: [] },
    before: MAIL,
    send: 'RCPT TO:<b@example.org> NOTIFY=NEVER\r\nRCPT TO:<b@example.org> ORCPT=rfc822;b@example.org\r\n',
    expect: ['555 5.5.4', '555 5.5.4'],
    reached: [],
  },
  {
    name: 'MAIL after the last transaction that is allowed ends the session',
    row: 'LIMITS',
    profile: { limits: { maxTransactions: 2 } },
    before: HELLO,
    send: 'MAIL FROM:<banned@x>\r\nMAIL FROM:<a@x> FOO\r\nMAIL FROM:<a@x>\r\nRSET\r\nMAIL FROM:<b@x>\r\nRSET\r\nMAIL FROM:<c@x>\r\nNOOP\r\n',
    expect: ['550 5.7.1', '555 5.5.4', '250 2.1.0', '250 2.0.0', '250 2.1.0', '250 2.0.0', '421 4.7.0'],
    reached: ['mail <banned@x>', 'mail <a@x>', 'reset', 'mail <b@x>', 'reset'],
    end: 'closed',
  },
  {
    name: 'a recipient in one domain too many is refused, and the transaction goes on',
    row: 'LIMITS',
    profile: { limits: { maxRecipientDomains: 2 } },
    before: MAIL,
    send: [
      'RCPT TO:<unknown@zero.example>',
      'RCPT TO:<a@one.example>',
      'RCPT TO:<b@ONE.example>',
      'RCPT TO:<c@two.example>',
      'RCPT TO:<d@three.example>',
      'RCPT TO:<postmaster>',
      'RCPT TO:<e@Two.Example>',
      'BDAT 0 LAST',
      'MAIL FROM:<>',
      'RCPT TO:<d@three.example>',
      '',
    ].join('\r\n'),
    expect: [
      '550 5.1.1',
      '250 2.1.5',
      '250 2.1.5',
      '250 2.1.5',
      '452 4.5.3',
      '452 4.5.3',
      '250 2.1.5',
      '250 2.0.0',
      '250 2.1.0',
      '250 2.1.5',
    ],
  },
  {
    name: 'the U-labels and the A-labels of a domain are one domain',
    row: 'LIMITS',
    profile: { limits: { maxRecipientDomains: 1 } },
    before: [...HELLO, 'MAIL FROM:<> SMTPUTF8'],
    send: 'RCPT TO:<a@bücher.example>\r\nRCPT TO:<b@XN--BCHER-KVA.example>\r\nRCPT TO:<c@bucher.example>\r\n',
    expect: ['250 2.1.5', '250 2.1.5', '452 4.5.3'],
  },
]
