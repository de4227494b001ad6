/** Lines and their lengths: RFC 5321 4.5.3.1.4, RFC 4954 4. */
import type { Vector } from '../vector.ts'
import { HELLO, RCPT } from './lines.ts'

const line = (start: string, octets: number): string => `${start}${'x'.repeat(octets - start.length - 2)}\r\n`

export const limits: readonly Vector[] = [
  {
    name: 'at the limit',
    row: 'command line over the limit',
    before: HELLO,
    send: line('NOOP ', 512),
    expect: ['250 2.0.0'],
  },
  {
    name: 'one octet over',
    row: 'command line over the limit',
    before: HELLO,
    send: `${line('NOOP ', 513)}MAIL FROM:<>\r\n`,
    expect: ['500 5.5.2', '250 2.1.0'],
  },
  {
    name: 'far over, in one line',
    row: 'command line over the limit',
    before: RCPT,
    send: `${line('RSET ', 5_000)}RCPT TO:<c@example.com>\r\n`,
    expect: ['500 5.5.2', '250 2.1.5'],
    reached: ['rcpt <c@example.com>'],
  },
  {
    name: 'an unknown command',
    row: 'command line over the limit',
    before: HELLO,
    send: line('X', 600),
    expect: ['500 5.5.2'],
  },
  {
    name: 'a command that is off',
    row: 'command line over the limit',
    profile: { disabled: ['VRFY'] },
    before: HELLO,
    send: line('VRFY ', 600),
    expect: ['500 5.5.2'],
  },
  {
    name: 'a command behind it in the line is not run',
    row: 'command line over the limit',
    before: HELLO,
    send: `NOOP ${'x'.repeat(2_000)}\nMAIL FROM:<e@x.example>\r\nMAIL FROM:<>\r\n`,
    expect: ['500 5.5.2', '250 2.1.0'],
    reached: ['mail <>'],
  },
  {
    name: 'MAIL with all its extensions',
    row: 'command line over the limit',
    before: HELLO,
    send: `MAIL FROM:<${'a'.repeat(480)}@example.org> SIZE=12345678901234567890 BODY=8BITMIME SMTPUTF8 RET=FULL\r\n`,
    expect: ['552 5.3.4'],
  },
  {
    name: 'RCPT with a long ORCPT',
    row: 'command line over the limit',
    before: RCPT,
    send: `RCPT TO:<${'b'.repeat(300)}@example.com> ORCPT=rfc822;${'c'.repeat(480)}\r\n`,
    expect: ['250 2.1.5'],
  },
  {
    name: 'RCPT over its own limit',
    row: 'command line over the limit',
    before: RCPT,
    send: line('RCPT TO:<', 1_100),
    expect: ['500 5.5.2'],
    reached: [],
  },
  {
    name: 'MAIL without parameters on offer',
    row: 'command line over the limit',
    profile: { disabled: ['SIZE', '8BITMIME', 'BINARYMIME', 'SMTPUTF8', 'DSN'] },
    before: HELLO,
    send: line('MAIL FROM:<', 520),
    expect: ['500 5.5.2'],
    reached: [],
  },
  {
    name: 'AUTH at its limit',
    row: 'command line over the limit',
    profile: { auth: 'always' },
    before: HELLO,
    send: line('AUTH PLAIN ', 12_288),
    expect: ['501 5.5.2'],
  },
  {
    name: 'AUTH over its limit',
    row: 'command line over the limit',
    profile: { auth: 'always' },
    before: HELLO,
    send: `${line('AUTH PLAIN ', 12_289)}NOOP\r\n`,
    expect: ['500 5.5.2', '250 2.0.0'],
  },
  {
    name: 'a response over its limit',
    row: 'command line over the limit',
    profile: { auth: 'always' },
    before: HELLO,
    send: `AUTH PLAIN\r\n${line('', 12_289)}NOOP\r\n`,
    expect: ['334', '500 5.5.2', '250 2.0.0'],
    reached: [],
  },
]
