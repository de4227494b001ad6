/** Commands that are refused until TLS, and until AUTH: RFC 3207 4, RFC 4954 6. */
import { Buffer } from 'node:buffer'
import type { Profile } from '../recorder.ts'
import type { Vector } from '../vector.ts'
import { HELLO } from './lines.ts'

const required: Profile = { auth: 'always', authRequired: true }
const PLAIN = Buffer.from('\0alice\0secret').toString('base64')
const WRONG = Buffer.from('\0alice\0guess').toString('base64')

export const policy: readonly Vector[] = [
  {
    name: 'mail commands are refused before AUTH',
    row: 'AUTH required',
    profile: required,
    before: HELLO,
    send: 'MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nVRFY x\r\nEXPN x\r\nNOOP\r\nRSET\r\nEHLO c.example\r\nQUIT\r\n',
    expect: [...Array<string>(5).fill('530 5.7.0'), '250 2.0.0', '250 2.0.0', '250', '221 2.0.0'],
    end: 'closed',
    reached: ['hello EHLO c.example'],
  },
  {
    name: 'MAIL is accepted after AUTH',
    row: 'AUTH required',
    profile: required,
    before: HELLO,
    send: `AUTH PLAIN ${PLAIN}\r\nMAIL FROM:<a@example.org>\r\n`,
    expect: ['235 2.7.0', '250 2.1.0'],
  },
  {
    name: 'the refusal of a command before AUTH has the text of the options',
    row: 'AUTH required',
    profile: { ...required, authRequiredText: 'Log in at example.org first' },
    before: HELLO,
    send: 'MAIL FROM:<a@example.org>\r\nDATA\r\n',
    expect: ['530 5.7.0', '530 5.7.0'],
    says: ['5.7.0 Log in at example.org first', '5.7.0 Log in at example.org first'],
  },
  {
    name: 'MAIL is refused after a failed AUTH',
    row: 'AUTH required',
    profile: required,
    before: HELLO,
    send: `AUTH PLAIN ${WRONG}\r\nMAIL FROM:<a@example.org>\r\n`,
    expect: ['535 5.7.8', '530 5.7.0'],
  },
  {
    name: 'too many commands before AUTH end the session',
    row: 'AUTH required',
    profile: { ...required, limits: { maxCommandsBeforeAuth: 5 } },
    before: HELLO,
    send: 'NOOP\r\n'.repeat(5),
    expect: [...Array<string>(4).fill('250 2.0.0'), '421 4.7.0'],
    end: 'closed',
  },
  {
    name: 'mail commands and AUTH are refused before TLS',
    row: 'TLS required',
    profile: { auth: 'always', tlsRequired: true },
    send: `MAIL FROM:<a@example.org>\r\nEHLO c.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nAUTH PLAIN ${PLAIN}\r\nVRFY x\r\nNOOP\r\nQUIT\r\n`,
    expect: ['530 5.7.0', '250', ...Array<string>(5).fill('530 5.7.0'), '250 2.0.0', '221 2.0.0'],
    end: 'closed',
    reached: ['hello EHLO c.example'],
  },
  {
    name: 'the refusal names TLS first if AUTH is required too',
    row: 'TLS required',
    profile: { auth: 'with-tls', tlsRequired: true, authRequired: true },
    before: HELLO,
    send: `AUTH PLAIN ${PLAIN}\r\nMAIL FROM:<>\r\n`,
    expect: ['530 5.7.0', '530 5.7.0'],
    reached: [],
  },
  {
    name: 'MAIL is accepted at once with implicit TLS',
    row: 'TLS required',
    profile: { tlsRequired: true, implicitTls: true },
    before: HELLO,
    send: 'MAIL FROM:<a@example.org>\r\n',
    expect: ['250 2.1.0'],
  },
  {
    name: 'STARTTLS is refused under implicit TLS',
    row: 'STARTTLS a second time',
    profile: { auth: 'with-tls', implicitTls: true },
    before: HELLO,
    send: 'STARTTLS\r\nMAIL FROM:<>\r\n',
    expect: ['503 5.5.1', '250 2.1.0'],
  },
]
