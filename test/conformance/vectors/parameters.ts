/** Parameters of MAIL and RCPT: RFC 1870, 3030, 3461, 4954 5, 6152, 6531. */
import type { Vector } from '../vector.ts'
import { HELLO, MAIL, RCPT } from './lines.ts'

const BAD_MAIL: readonly string[] = [
  'SIZE', 'SIZE=', 'SIZE=x', 'SIZE=-1', 'SIZE=1.5', 'SIZE=0x10', 'SIZE=1e3', 'SIZE=123456789012345678901', 'SIZE=1 SIZE=1', 'SIZE=1=2',
  'BODY', 'BODY=', 'BODY=9BIT', 'BODY=8BIT', 'BODY=7BIT BODY=8BITMIME', 'SMTPUTF8=1', 'SMTPUTF8 SMTPUTF8',
  'RET', 'RET=', 'RET=BODY', 'RET=FULL RET=HDRS', 'ENVID=+0A', 'ENVID=+00', 'ENVID=a+1fb', 'ENVID=a+7F', 'ENVID=a+b+0d', 'ENVID=x ENVID=x', '=1', '-X=1',
] // prettier-ignore

const BAD_RCPT: readonly string[] = [
  'NOTIFY', 'NOTIFY=', 'NOTIFY=ALWAYS', 'NOTIFY=NEVER,SUCCESS', 'NOTIFY=SUCCESS,SUCCESS', 'NOTIFY=SUCCESS,', 'NOTIFY=,', 'NOTIFY=SUCCESS NOTIFY=NEVER',
  'ORCPT=rfc822;a+0Ab', 'ORCPT=a+0Ab', 'ORCPT=utf-8;a+0Ab', 'ORCPT=utf-8;a\\x{0A}b', 'ORCPT=UTF-8;a\\x{00009F}b',
] // prettier-ignore

/** The text behind the path, and the parameters that the hooks see. */
const GOOD_MAIL: readonly (readonly [string, string])[] = [
  ['SIZE=0', 'SIZE=0'],
  ['size=00012', 'SIZE=00012'],
  ['SIZE=26214400', 'SIZE=26214400'],
  ['BODY=7BIT', 'BODY=7BIT'],
  ['body=8bitmime', 'BODY=8bitmime'],
  ['BODY=BINARYMIME', 'BODY=BINARYMIME'],
  ['SMTPUTF8', 'SMTPUTF8'],
  ['RET=FULL', 'RET=FULL'],
  ['ret=hdrs', 'RET=hdrs'],
  ['ENVID=QQ314159', 'ENVID=QQ314159'],
  ['ENVID=a+2Bb+3Dc', 'ENVID=a+b=c'],
  ['SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x', 'SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x'],
]

const GOOD_RCPT: readonly (readonly [string, string])[] = [
  ['NOTIFY=NEVER', 'NOTIFY=NEVER'],
  ['NOTIFY=SUCCESS,FAILURE,DELAY', 'NOTIFY=SUCCESS,FAILURE,DELAY'],
  ['notify=delay', 'NOTIFY=delay'],
  ['ORCPT=rfc822;Bob+40x@ent.example', 'ORCPT=rfc822;Bob+40x@ent.example'],
  ['NOTIFY=FAILURE ORCPT=RFC822;b@c', 'NOTIFY=FAILURE ORCPT=RFC822;b@c'],
]

/** Malformed parameters that only advise. They are accepted and kept unchanged. */
const UNTIDY_MAIL: readonly string[] = [
  'ENVID=a+b', 'ENVID=a+2', 'ENVID=a+2g', 'ENVID=a=b', 'ENVID=+E9', `ENVID=${'x'.repeat(101)}`,
] // prettier-ignore
const UNTIDY_RCPT: readonly string[] = [
  'ORCPT=rfc822', 'ORCPT=rfc822;', 'ORCPT=;a@b', 'ORCPT=rfc822;a+b@c', 'ORCPT=rfc822;a=b@c', 'ORCPT=a@b', 'ORCPT=rfc_822;a@b',
  'ORCPT=utf-8;a+b@c', 'ORCPT=utf-8;a+C3+A9@c', 'ORCPT=utf-8;\\x{D83D}\\x{DE00}@c', 'ORCPT=utf-8;\\x{110000}@c',
] // prettier-ignore

export const parameters: readonly Vector[] = [
  ...BAD_MAIL.map((text): Vector => ({
    name: `${text.slice(0, 40)} is refused`,
    row: 'malformed parameter',
    before: HELLO,
    send: `MAIL FROM:<a@example.org> ${text}\r\n`,
    expect: ['501 5.5.4'],
    reached: [],
  })),
  ...BAD_RCPT.map((text): Vector => ({
    name: `${text} is refused`,
    row: 'malformed parameter',
    before: MAIL,
    send: `RCPT TO:<b@example.org> ${text}\r\n`,
    expect: ['501 5.5.4'],
    reached: [],
  })),
  ...UNTIDY_MAIL.map((text): Vector => ({
    name: `${text.slice(0, 40)} is accepted and kept as written`,
    row: 'parameter that only advises',
    before: HELLO,
    send: `MAIL FROM:<a@example.org> ${text}\r\n`,
    expect: ['250 2.1.0'],
    reached: [`mail <a@example.org> ${text} (malformed)`],
  })),
  ...UNTIDY_RCPT.map((text): Vector => ({
    name: `${text} is accepted and kept as written`,
    row: 'parameter that only advises',
    before: MAIL,
    send: `RCPT TO:<b@example.org> ${text}\r\n`,
    expect: ['250 2.1.5'],
    reached: [`rcpt <b@example.org> ${text} (malformed)`],
  })),
  {
    name: 'ENVID and ORCPT are accepted without a value',
    row: 'parameter that only advises',
    before: HELLO,
    send: 'MAIL FROM:<a@example.org> ENVID\r\nRCPT TO:<b@example.org> ORCPT=\r\n',
    expect: ['250 2.1.0', '250 2.1.5'],
    reached: ['mail <a@example.org> ENVID (malformed)', 'rcpt <b@example.org> ORCPT (malformed)'],
  },
  {
    name: 'hex digits in lower case are decoded',
    row: 'parameter that only advises',
    before: HELLO,
    send: 'MAIL FROM:<a@example.org> ENVID=a+3db\r\nRCPT TO:<b@example.org> ORCPT=rfc822;a+2bb@c\r\n',
    expect: ['250 2.1.0', '250 2.1.5'],
    reached: ['mail <a@example.org> ENVID=a=b', 'rcpt <b@example.org> ORCPT=rfc822;a+2bb@c'],
  },
  ...['alice', '<alice>', 'a+', '<>x'].map((name): Vector => ({
    name: `AUTH=${name} is accepted and kept as written`,
    row: 'parameter that only advises',
    profile: { auth: 'always' },
    before: HELLO,
    send: `MAIL FROM:<a@example.org> AUTH=${name}\r\n`,
    expect: ['250 2.1.0'],
    reached: [`mail <a@example.org> AUTH=${name} (malformed)`],
  })),
  ...['<>', 'alice@example.org', 'e+3dmc2@example.org'].map((name): Vector => ({
    name: `AUTH=${name} is accepted and kept as written`,
    row: 'parameter that only advises',
    profile: { auth: 'always' },
    before: HELLO,
    send: `MAIL FROM:<a@example.org> AUTH=${name}\r\n`,
    expect: ['250 2.1.0'],
    reached: [`mail <a@example.org> AUTH=${name.replace('+3d', '=')}`],
  })),
  {
    name: 'AUTH is refused if it hides a control character',
    row: 'malformed parameter',
    profile: { auth: 'always' },
    before: HELLO,
    send: 'MAIL FROM:<a@example.org> AUTH=alice+0D\r\n',
    expect: ['501 5.5.4'],
    reached: [],
  },
  ...GOOD_MAIL.map(([text, seen]): Vector => ({
    name: `${text} is accepted in MAIL`,
    row: 'malformed parameter',
    before: HELLO,
    send: `MAIL FROM:<a@example.org> ${text}\r\n`,
    expect: ['250 2.1.0'],
    reached: [`mail <a@example.org> ${seen}`],
  })),
  ...GOOD_RCPT.map(([text, seen]): Vector => ({
    name: `${text} is accepted in RCPT`,
    row: 'malformed parameter',
    before: MAIL,
    send: `RCPT TO:<b@example.org> ${text}\r\n`,
    expect: ['250 2.1.5'],
    reached: [`rcpt <b@example.org> ${seen}`],
  })),
  {
    name: 'values with letters whose upper case is ASCII are refused',
    row: 'malformed parameter',
    before: HELLO,
    send: 'MAIL FROM:<> BODY=8B\u0131TM\u0131ME\r\nMAIL FROM:<> RET=HDR\u017f\r\nMAIL FROM:<> BODY=7B\u0131T SMTPUTF8\r\n',
    expect: Array<string>(3).fill('501 5.5.4'),
    reached: [],
  },
  {
    name: 'MAIL refuses parameters of RCPT and unknown ones',
    row: 'unknown parameter',
    before: HELLO,
    send: 'MAIL FROM:<a@example.org> FOO\r\nMAIL FROM:<a@example.org> FOO=bar\r\nMAIL FROM:<a@example.org> NOTIFY=NEVER\r\nMAIL FROM:<a@example.org> SIZE=1 FOO\r\n',
    expect: Array<string>(4).fill('555 5.5.4'),
    reached: [],
  },
  {
    name: 'RCPT refuses parameters of MAIL and unknown ones',
    row: 'unknown parameter',
    before: MAIL,
    send: 'RCPT TO:<b@example.org> FOO\r\nRCPT TO:<b@example.org> SIZE=1\r\nRCPT TO:<b@example.org> RET=FULL\r\n',
    expect: Array<string>(3).fill('555 5.5.4'),
    reached: [],
  },
  {
    name: 'names of properties that every object has are refused',
    row: 'unknown parameter',
    before: HELLO,
    send: 'MAIL FROM:<> CONSTRUCTOR=1\r\nMAIL FROM:<> TOSTRING\r\nTOSTRING\r\nCONSTRUCTOR\r\n',
    expect: ['555 5.5.4', '555 5.5.4', '500 5.5.1', '500 5.5.1'],
    reached: [],
  },
  ...(
    [
      ['SIZE', 'SIZE=1'],
      ['8BITMIME,BINARYMIME', 'BODY=8BITMIME'],
      ['SMTPUTF8', 'SMTPUTF8'],
      ['DSN', 'RET=FULL'],
      ['DSN', 'ENVID=x'],
    ] as const
  ).map(([off, parameter]): Vector => ({
    name: `${parameter} is refused without ${off}`,
    row: 'parameter of an extension that is not on offer',
    profile: { disabled: off.split(',') },
    before: HELLO,
    send: `MAIL FROM:<a@example.org> ${parameter}\r\n`,
    expect: ['555 5.5.4'],
    reached: [],
  })),
  {
    name: 'NOTIFY is refused without DSN',
    row: 'parameter of an extension that is not on offer',
    profile: { disabled: ['DSN'] },
    before: MAIL,
    send: 'RCPT TO:<b@example.org> NOTIFY=NEVER\r\n',
    expect: ['555 5.5.4'],
    reached: [],
  },
  {
    name: 'AUTH= is refused without AUTH',
    row: 'parameter of an extension that is not on offer',
    before: HELLO,
    send: 'MAIL FROM:<a@example.org> AUTH=<>\r\n',
    expect: ['555 5.5.4'],
    reached: [],
  },
  {
    name: 'BODY=BINARYMIME is refused without BINARYMIME',
    row: 'malformed parameter',
    profile: { disabled: ['BINARYMIME'] },
    before: HELLO,
    send: 'MAIL FROM:<a@example.org> BODY=BINARYMIME\r\n',
    expect: ['501 5.5.4'],
    reached: [],
  },
  {
    name: 'MAIL is refused if it declares a size over the limit',
    row: 'message over SIZE',
    before: HELLO,
    send: 'MAIL FROM:<a@example.org> SIZE=26214401\r\nMAIL FROM:<a@example.org> SIZE=99999999999999999999\r\nRCPT TO:<b@example.org>\r\n',
    expect: ['552 5.3.4', '552 5.3.4', '503 5.5.1'],
    reached: [],
  },
  {
    name: 'DATA is refused, and BDAT is accepted',
    row: 'BINARYMIME then DATA',
    before: [...HELLO, 'MAIL FROM:<a@example.org> BODY=BINARYMIME', 'RCPT TO:<b@example.org>'],
    send: 'DATA\r\nBDAT 2 LAST\r\nhi',
    expect: ['503 5.5.1', '250 2.0.0'],
    kept: ['hi'],
  },
  {
    name: 'a parameter without a blank before it is refused',
    row: 'malformed parameter',
    before: HELLO,
    send: 'MAIL FROM:<a@example.org>SIZE=1\r\n',
    expect: ['501 5.5.2'],
    reached: [],
  },
  {
    name: 'parameters of a refused RCPT have no effect',
    row: 'malformed parameter',
    before: RCPT,
    send: 'RCPT TO:<c@example.org> NOTIFY=X\r\nDATA\r\nhi\r\n.\r\n',
    expect: ['501 5.5.4', '354', '250 2.0.0'],
    kept: ['hi\r\n'],
  },
]
