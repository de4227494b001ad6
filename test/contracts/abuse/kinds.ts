/** Makes valid sessions of each kind, from a seed. */
import type { Random } from '../../kit/random.ts'
import { LOGINS } from './logins.ts'
import { type Manner, send, type Step, type ValidSession, WAIT } from './session.ts'
import { forwardParameters, lines, mailParameters, message } from './text.ts'

/** A session in the making. */
export interface Draft {
  readonly random: Random
  readonly steps: Step[]
  messages: number
  refusals: number
}

export interface Kind {
  readonly name: string
  readonly protocol?: Manner['protocol']
  readonly authRequired?: true
  readonly isTrusted?: true
  make(draft: Draft): void
}

const DEFAULT: Pick<Manner, 'addresses' | 'bareLineEndings'> = { addresses: 'strict', bareLineEndings: 'reject' }
const HELLO = 'EHLO client.example'
const LMTP_HELLO = 'LHLO client.example'
const QUERIES: readonly string[] = [
  'NOOP', 'NOOP something', 'RSET', 'HELP', 'HELP mail', 'HELP RCPT', 'VRFY known', 'VRFY somebody', 'EXPN list',
  'VRFY <known@example.com> SMTPUTF8', 'HELO client.example', 'EHLO [192.0.2.1]', 'EHLO [IPv6:2001:db8::1]',
] // prettier-ignore
const REFUSED: readonly string[] = [
  'ETRN example.com',
  'HELP nothing',
  'EXPN nobody',
  'TURN',
  'SEND FROM:<a@example.com>',
]

export const KINDS: readonly Kind[] = [
  { name: 'message', make: (draft) => converse(draft, HELLO) },
  { name: 'HELO', make: (draft) => converse(draft, 'HELO client.example') },
  { name: 'pipelined', make: (draft) => pipeline(draft, HELLO) },
  { name: 'chunks', make: (draft) => chunked(draft, HELLO) },
  { name: 'queries', make: queries },
  { name: 'STARTTLS', make: startTls },
  ...LOGINS.map(({ name, begin, refusals }): Kind => ({
    name: `AUTH ${name}`,
    make(draft) {
      say(draft, HELLO)
      draft.steps.push(...begin(draft.random))
      draft.refusals += refusals
      transaction(draft)
      say(draft, 'QUIT')
    },
  })),
  {
    name: 'submission',
    authRequired: true,
    make(draft) {
      draft.refusals++
      say(draft, HELLO, 'MAIL FROM:<ann@example.org>')
      draft.steps.push(...(LOGINS[0]?.begin(draft.random) ?? []))
      transaction(draft)
      say(draft, 'QUIT')
    },
  },
  { name: 'LMTP message', protocol: 'lmtp', make: (draft) => converse(draft, LMTP_HELLO) },
  { name: 'LMTP pipelined', protocol: 'lmtp', make: (draft) => pipeline(draft, LMTP_HELLO) },
  { name: 'LMTP chunks', protocol: 'lmtp', make: (draft) => chunked(draft, LMTP_HELLO) },
  { name: 'XCLIENT and XFORWARD', isTrusted: true, make: forward },
]

/** Makes a valid session of a kind. */
export function makeSession(kind: Kind, random: Random): ValidSession {
  const draft: Draft = { random, steps: [WAIT], messages: 0, refusals: 0 }
  kind.make(draft)
  const { steps, messages, refusals } = draft
  const { protocol = 'smtp', authRequired = false, isTrusted = false } = kind
  const manner = { ...DEFAULT, protocol, authRequired, isTrusted }
  return { kind: kind.name, manner, steps, messages, refusals }
}

/** Sends lines. Waits for the reply to each. */
function say({ steps }: Draft, ...commands: readonly string[]): void {
  for (const command of commands) steps.push(send(`${command}\r\n`), WAIT)
}

function converse(draft: Draft, hello: string): void {
  say(draft, hello)
  for (let left = draft.random.between(1, 2); left > 0; left--) transaction(draft, hello.startsWith('HELO'))
  say(draft, 'QUIT')
}

/** Sends one message by DATA or by BDAT. */
function transaction(draft: Draft, isPlain: boolean = false): void {
  const { random } = draft
  if (!isPlain && random.below(4) === 0) return chunks(draft)
  say(draft, ...envelope(draft, isPlain), 'DATA')
  draft.steps.push(send(lines(message(random), true)), WAIT)
  draft.messages++
}

/** Returns MAIL and one to four RCPT. */
function envelope({ random }: Draft, isPlain: boolean): string[] {
  const parameters = isPlain ? '' : mailParameters(random)
  const from = ['<ann@sender.example>', '<>', '<"a b"@sender.example>', '<@a.example:ann@sender.example>']
  const recipients = Array.from({ length: random.between(1, 4) }, (_, index) => {
    return `RCPT TO:<user${index}@example.com>${isPlain ? '' : forwardParameters(random)}`
  })
  return [`MAIL FROM:${from[random.below(from.length)]}${parameters}`, ...recipients]
}

function pipeline(draft: Draft, hello: string): void {
  const { random, steps } = draft
  say(draft, hello)
  let batch = ''
  for (let left = random.between(1, 3); left > 0; left--) {
    const commands = envelope(draft, false)
    if (random.below(3) === 0) commands.push('RCPT TO:<unknown@example.com>')
    draft.refusals += commands.filter((command) => command.includes('unknown@')).length
    batch += `${commands.join('\r\n')}\r\nDATA\r\n${lines(message(random), true)}`
    draft.messages++
  }
  steps.push(send(`${batch}NOOP\r\nQUIT\r\n`), WAIT)
}

function chunked(draft: Draft, hello: string): void {
  say(draft, hello)
  for (let left = draft.random.between(1, 2); left > 0; left--) chunks(draft)
  say(draft, 'QUIT')
}

/** Sends a message by BDAT. Sometimes all chunks are sent at once, which RFC 3030 4.2 allows. */
function chunks(draft: Draft): void {
  const { random, steps } = draft
  const isBinary = random.below(3) === 0
  const [mail = '', ...recipients] = envelope(draft, true)
  say(draft, isBinary ? `${mail} BODY=BINARYMIME` : mail, ...recipients)
  let left = isBinary ? random.bytes(random.below(600)).toString('latin1') : lines(message(random), false)
  const isAtOnce = random.below(2) === 0
  while (random.below(3) > 0) {
    const chunk = left.slice(0, random.below(left.length + 1))
    left = left.slice(chunk.length)
    steps.push(send(`BDAT ${chunk.length}\r\n${chunk}`))
    if (!isAtOnce) steps.push(WAIT)
  }
  steps.push(send(`BDAT ${left.length} LAST\r\n${left}`), WAIT)
  draft.messages++
}

function queries(draft: Draft): void {
  const { random } = draft
  say(draft, HELLO)
  for (let left = random.between(3, 10); left > 0; left--) {
    const isRefused = random.below(6) === 0 && draft.refusals < 5
    const from = isRefused ? REFUSED : QUERIES
    if (isRefused) draft.refusals++
    say(draft, from[random.below(from.length)] ?? '')
  }
  say(draft, HELLO)
  transaction(draft)
  say(draft, 'QUIT')
}

function startTls(draft: Draft): void {
  say(draft, HELLO, 'STARTTLS')
  draft.steps.push({ do: 'tls' })
  say(draft, HELLO)
  if (draft.random.below(2) === 0) {
    const { begin, refusals } = LOGINS[draft.random.below(LOGINS.length)] ?? { begin: () => [], refusals: 0 }
    draft.steps.push(...begin(draft.random))
    draft.refusals += refusals
  }
  transaction(draft)
  say(draft, 'QUIT')
}

function forward(draft: Draft): void {
  say(draft, HELLO, 'XFORWARD NAME=a.example ADDR=192.0.2.1 PROTO=ESMTP', 'XFORWARD HELO=a.example SOURCE=REMOTE')
  transaction(draft)
  say(draft, 'XCLIENT NAME=c.example ADDR=IPV6:2001:db8::7 PORT=4711 DESTADDR=192.0.2.25', HELLO)
  transaction(draft)
  say(draft, 'QUIT')
}
