/** XCLIENT and XFORWARD, as Postfix defines them. */
import type { Profile } from '../recorder.ts'
import type { Vector } from '../vector.ts'
import { HELLO, MAIL } from './lines.ts'

const profile: Profile = { trusted: 'all' }
const nobody: Profile = { trusted: [] }
const LOCAL = 'DESTADDR=192.0.2.25 DESTPORT=25'
const FORWARDED = `{"name":"a.example","address":"2001:db8::7","port":4711,"protocol":"ESMTP","hello":"a.example","ident":"4F2B","source":"REMOTE"}`

function refused(verb: string, arguments_: readonly string[]): string {
  return arguments_.map((argument) => `${verb} ${argument}\r\n`).join('')
}

const MALFORMED = [
  'ADDR',
  'ADDR=',
  '=192.0.2.7',
  'COLOUR=red',
  'NAME=a+2',
  'NAME=a+0Ab',
  'NAME=a NAME=b',
  `NAME=${'a'.repeat(256)}`,
]
const WRONG_CLIENTS = ['ADDR=192.0.2', 'ADDR=IPV6:192.0.2.1.5', 'ADDR=192.0.2.7 PORT=65536', 'PORT=x', 'PROTO=HTTP']
const WRONG_FORWARDED = ['PORT=-1', 'SOURCE=elsewhere', `PROTO=${'x'.repeat(65)}`]

export const trusted: readonly Vector[] = [
  {
    name: 'the session begins again as that of the client that is named',
    row: 'XCLIENT',
    profile,
    before: HELLO,
    send: `XCLIENT NAME=c.example ADDR=198.51.100.7 PORT=4711 ${LOCAL}\r\nMAIL FROM:<>\r\nEHLO c.example\r\nMAIL FROM:<>\r\n`,
    expect: ['220', '503 5.5.1', '250', '250 2.1.0'],
    reached: [
      'connect 198.51.100.7:4711 192.0.2.25:25 - - pass c.example',
      'hello EHLO c.example',
      'mail <> 198.51.100.7:4711 192.0.2.25:25 EHLO c.example - pass c.example',
    ],
  },
  {
    name: 'names, values and the prefix of IPv6 may have any case, and LOGIN is decoded',
    row: 'XCLIENT',
    profile: { ...profile, auth: 'always', authRequired: true },
    send: `xclient addr=ipv6:2001:DB8:0::7 login=ann+40a.example ${LOCAL}\r\nEHLO c.example\r\nMAIL FROM:<>\r\n`,
    expect: ['220', '250', '250 2.1.0'],
    reached: [
      'connect 2001:db8::7:0 192.0.2.25:25 - - -',
      'hello EHLO c.example',
      'mail <> 2001:db8::7:0 192.0.2.25:25 EHLO c.example ann@a.example -',
    ],
  },
  {
    name: 'a later one without LOGIN logs out',
    row: 'XCLIENT',
    profile: { ...profile, auth: 'always', authRequired: true },
    before: ['XCLIENT LOGIN=ann'],
    send: 'XCLIENT LOGIN=[UNAVAILABLE]\r\nEHLO c.example\r\nMAIL FROM:<>\r\n',
    expect: ['220', '250', '530 5.7.0'],
  },
  {
    name: 'what is unavailable is unknown, and HELO counts until the client greets',
    row: 'XCLIENT',
    profile,
    send: `XCLIENT ADDR=[unavailable] NAME=[TEMPUNAVAIL] PORT=[UNAVAILABLE] HELO=first.example PROTO=SMTP ${LOCAL}\r\nEHLO c.example\r\n`,
    expect: ['220', '250'],
    reached: ['connect - 192.0.2.25:25 HELO first.example - temperror unknown', 'hello EHLO c.example'],
  },
  {
    name: 'a malformed one changes nothing',
    row: 'XCLIENT',
    profile: { ...profile, limits: { maxBadCommands: 100 } },
    before: HELLO,
    send: `${refused('XCLIENT', [...MALFORMED, ...WRONG_CLIENTS, ''])}MAIL FROM:<>\r\n`,
    expect: [...Array<string>(MALFORMED.length + WRONG_CLIENTS.length + 1).fill('501 5.5.4'), '250 2.1.0'],
    reached: ['mail <> - - EHLO client.example - -'],
  },
  {
    name: 'XCLIENT is refused in a transaction',
    row: 'XCLIENT',
    profile,
    before: MAIL,
    send: 'XCLIENT ADDR=198.51.100.7\r\nRCPT TO:<b@example.com>\r\n',
    expect: ['503 5.5.1', '250 2.1.5'],
    reached: ['rcpt <b@example.com>'],
  },
  {
    name: 'XCLIENT is refused from others, and changes nothing',
    row: 'XCLIENT',
    profile: nobody,
    before: HELLO,
    send: 'XCLIENT ADDR=198.51.100.7 LOGIN=ann\r\nMAIL FROM:<>\r\n',
    expect: ['550 5.7.0', '250 2.1.0'],
    reached: ['mail <> - - EHLO client.example - -'],
  },
  {
    name: 'XCLIENT is unknown to a server without it',
    row: 'XCLIENT',
    send: 'XCLIENT ADDR=198.51.100.7\r\n',
    expect: ['500 5.5.1'],
  },
  {
    name: 'attributes of several commands add up, and belong to the next message',
    row: 'XFORWARD',
    profile,
    before: HELLO,
    send: `XFORWARD NAME=a.example ADDR=IPV6:2001:db8::7 PORT=4711 PROTO=ESMTP\r\nXFORWARD HELO=a.example IDENT=4F2B SOURCE=remote\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n.\r\nMAIL FROM:<>\r\n`,
    expect: ['250 2.0.0', '250 2.0.0', '250 2.1.0', '250 2.1.5', '354', '250 2.0.0', '250 2.1.0'],
    reached: [
      `mail <> - - EHLO client.example - - ${FORWARDED}`,
      'rcpt <b@example.com>',
      'data',
      'kept 0',
      'mail <> - - EHLO client.example - -',
    ],
  },
  {
    name: 'RSET drops the attributes, [UNAVAILABLE] one of them',
    row: 'XFORWARD',
    profile,
    before: HELLO,
    send: 'XFORWARD NAME=a.example\r\nRSET\r\nXFORWARD HELO=b.example SOURCE=LOCAL\r\nXFORWARD SOURCE=[UNAVAILABLE]\r\nMAIL FROM:<>\r\n',
    expect: [...Array<string>(4).fill('250 2.0.0'), '250 2.1.0'],
    reached: ['mail <> - - EHLO client.example - - {"hello":"b.example"}'],
  },
  {
    name: 'characters with a meaning in headers are replaced',
    row: 'XFORWARD',
    profile,
    before: HELLO,
    send: 'XFORWARD NAME=a<b+20(c)"d\\e;\r\nMAIL FROM:<>\r\n',
    expect: ['250 2.0.0', '250 2.1.0'],
    reached: ['mail <> - - EHLO client.example - - {"name":"a?b??c??d?e?"}'],
  },
  {
    name: 'a malformed one changes nothing',
    row: 'XFORWARD',
    profile: { ...profile, limits: { maxBadCommands: 100 } },
    before: HELLO,
    send: `${refused('XFORWARD', [...MALFORMED, ...WRONG_FORWARDED, ''])}MAIL FROM:<>\r\n`,
    expect: [...Array<string>(MALFORMED.length + WRONG_FORWARDED.length + 1).fill('501 5.5.4'), '250 2.1.0'],
    reached: ['mail <> - - EHLO client.example - -'],
  },
  {
    name: 'XFORWARD is refused in a transaction',
    row: 'XFORWARD',
    profile,
    before: MAIL,
    send: 'XFORWARD NAME=a.example\r\n',
    expect: ['503 5.5.1'],
  },
  {
    name: 'XFORWARD is refused from others',
    row: 'XFORWARD',
    profile: nobody,
    before: HELLO,
    send: 'XFORWARD NAME=a.example\r\nMAIL FROM:<>\r\n',
    expect: ['550 5.7.0', '250 2.1.0'],
    reached: ['mail <> - - EHLO client.example - -'],
  },
]
