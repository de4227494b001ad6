/** The load cases: plain data. */
import { type AttackCase, USER } from './case.ts'
import type { ClientOrder } from './order.ts'

const MiB = 1024 * 1024
/** Addresses of strangers. */
const STRANGERS = Array.from({ length: 20 }, (_, n) => `127.0.1.${n + 1}`)
const ONE = STRANGERS.slice(0, 1)
const UNLIMITED = Number.MAX_SAFE_INTEGER

const NEIGHBOUR = { kind: 'mail', name: 'neighbour', address: '127.0.0.2', intervalMs: 25, maxVisits: 1 } as const
/** A client with a new connection for each message. */
const NEWCOMER = {
  ...NEIGHBOUR,
  name: 'newcomer',
  intervalMs: 100,
  maxVisits: 20,
} as const satisfies Partial<ClientOrder>
const USER_LOGIN = {
  kind: 'login',
  name: 'right password',
  address: '127.0.0.3',
  intervalMs: 1_000,
  maxVisits: 5,
  login: USER,
} as const
const SLOW_HELLO = { address: '127.0.0.2', intervalMs: 100, maxVisits: 100, delayMs: 700 } as const

/** Commands that one stranger writes again and again. They make no progress. */
const FLOODS = {
  noop: { opening: '', commands: 'NOOP\r\n' },
  ehlo: { opening: '', commands: 'EHLO a\r\n' },
  rset: { opening: 'EHLO a\r\n', commands: 'RSET\r\n' },
  bdat: { opening: 'EHLO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n', commands: 'BDAT 0\r\n' },
  rcpt: { opening: 'EHLO a\r\nMAIL FROM:<a@b.example>\r\n', commands: 'RCPT TO:<c@d.example>\r\n' },
  mail: { opening: 'EHLO a\r\n', commands: 'MAIL FROM:<a@b.example>\r\nRSET\r\n' },
  vrfy: { opening: 'EHLO a\r\n', commands: 'VRFY c@d.example\r\n' },
  help: { opening: 'EHLO a\r\n', commands: 'HELP\r\n' },
} as const

function pipelining(name: keyof typeof FLOODS, connections: number): AttackCase {
  return {
    name: `pipelining-${name}-${connections}`,
    title: `${connections} connection${connections === 1 ? '' : 's'} of one address that write ${JSON.stringify(FLOODS[name].commands)} without a pause`,
    attack: { kind: 'flood', addresses: ONE, maxOctets: UNLIMITED, connections, ...FLOODS[name] },
    clients: [NEIGHBOUR],
  }
}

/** Makes RCPT lines. With 486 octets in the local part, the line is as long as a line may be. */
function longLines(octets: readonly number[]): string[] {
  return octets.map((count) => `RCPT TO:<"${'x'.repeat(count)}"@d.example>`)
}

function text(name: string, title: string, mail: string, lines: readonly string[]): AttackCase {
  return {
    name: `text-${name}`,
    title,
    attack: {
      kind: 'messages',
      addresses: ONE,
      maxOctets: 20 * MiB,
      connections: 1,
      messages: 20,
      mail,
      lines,
      recipients: 1_000,
    },
    clients: [NEIGHBOUR],
  }
}

export const CASES: readonly AttackCase[] = [
  {
    name: 'recipients',
    title:
      '1,900 connections of 20 addresses, each with a transaction of up to 1,000 long recipients that never ends; 512 MiB of heap',
    heapMiB: 512,
    patience: 3,
    attack: {
      kind: 'recipients',
      addresses: STRANGERS,
      maxOctets: 600 * MiB,
      connections: 1_900,
      senders: 20,
      recipientsPerConnection: 1_000,
      lines: longLines([486, 470, 440, 400, 220, 200, 50]),
    },
    clients: [NEIGHBOUR],
  },
  {
    name: 'guessing',
    title: '100 connections of one address that guess passwords of a known and of an unknown account',
    flags: ['--auth-without-tls'],
    hasAllCores: true,
    attack: {
      kind: 'guess',
      addresses: ONE,
      maxOctets: UNLIMITED,
      connections: 100,
      usernames: [USER.username, 'nobody'],
    },
    clients: [NEIGHBOUR, USER_LOGIN],
  },
  pipelining('noop', 1),
  ...(Object.keys(FLOODS) as (keyof typeof FLOODS)[]).map((name) => pipelining(name, 4)),
  text(
    'recipients',
    'messages of 1,000 recipients "//::::…"@x',
    'MAIL FROM:<a@b.example>',
    [960, 480, 240, 60].map((length) => `RCPT TO:<"//${':'.repeat(length)}"@x>`),
  ),
  text(
    'sender',
    'messages of 1,000 recipients, from "-----BEGIN PRIVATE KEY-----"@x',
    'MAIL FROM:<"-----BEGIN PRIVATE KEY-----"@x>',
    [920, 440, 200, 20].map((length) => `RCPT TO:<"-----BEGIN PRIVATE KEY-----${'-'.repeat(length)}"@x>`),
  ),
  {
    name: 'text-vrfy',
    title: 'VRFY and blanks, in lines of 64 KiB, which --max-command-line-octets allows here',
    flags: ['--max-command-line-octets=65536'],
    attack: {
      kind: 'flood',
      addresses: ONE,
      maxOctets: 2 * MiB,
      connections: 1,
      opening: 'EHLO a\r\n',
      commands: `VRFY ${' '.repeat(65_000)}x\r\n`,
    },
    clients: [NEIGHBOUR],
  },
  {
    name: 'handshakes-tls',
    title:
      'up to 5,000 connections of one address to a port of TLS, 1,000 a second, that write nothing; clients write after 0.7 s',
    flags: ['--self-signed'],
    doors: ['smtps'],
    patience: 0.6,
    attack: { kind: 'silent', addresses: ONE, maxOctets: 0, connections: 5_000, connectionsPerSecond: 1_000 },
    clients: [{ ...SLOW_HELLO, kind: 'greeting', name: 'slow client', isSecure: true }],
  },
  {
    name: 'handshakes-ws',
    title: 'the same at a port of ws://',
    flags: [`--front-secret=${'0123456789'.repeat(4)}`],
    doors: ['ws'],
    patience: 0.6,
    attack: { kind: 'silent', addresses: ONE, maxOctets: 0, connections: 5_000, connectionsPerSecond: 1_000 },
    clients: [{ ...SLOW_HELLO, kind: 'request', name: 'slow client' }],
  },
  {
    name: 'directories',
    title: 'a Maildir store, and one message with 1,000 recipients in domains of their own',
    layout: 'maildir',
    mailboxes: ['postern.example/bob'],
    attack: {
      kind: 'messages',
      addresses: ONE,
      maxOctets: MiB,
      connections: 1,
      messages: 1,
      mail: 'MAIL FROM:<a@b.example>',
      lines: ['RCPT TO:<someone@d{n}.example>'],
      recipients: 1_000,
    },
    clients: [NEIGHBOUR],
  },
  {
    name: 'places',
    title: 'all of 200 places held by idle connections of 20 addresses, which have up to 20 each',
    flags: ['--max-connections=200', '--max-connections-per-address=20', '--self-signed'],
    doors: ['smtp', 'submission'],
    attack: { kind: 'idle', addresses: STRANGERS, maxOctets: UNLIMITED, connections: 400 },
    clients: [
      { ...NEWCOMER, maxVisits: 10 },
      { ...NEWCOMER, maxVisits: 10, kind: 'greeting', name: 'submission', address: '127.0.0.3', door: 1 },
      { kind: 'slow', name: 'message under way', address: '127.0.0.4', intervalMs: 1_000_000, maxVisits: 1 },
    ],
  },
]
