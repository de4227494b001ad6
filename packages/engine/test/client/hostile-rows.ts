/** Servers that break rules, close or hang at every stage: scripts, and what becomes of the message. */
import type { ClientOptions } from '@postern/engine/client'
import type { Step } from './scripted.ts'

export interface Row {
  readonly name: string
  readonly script: readonly Step[]
  readonly options?: Partial<ClientOptions>
  readonly streams?: true
  /** `reason stage code`, `temporary`, `maybe accepted`, and the fate of each recipient that is known. */
  readonly becomes: string
  /** What the server got last. */
  readonly sent?: string
}

const GREET = '220 mx.example.com\r\n'
const EHLO: Step = { waitFor: 'EHLO client.example.com\r\n' }
const LHLO: Step = { waitFor: 'LHLO client.example.com\r\n' }
const PLAIN = '250 mx.example.com\r\n'
const PIPELINING = '250-mx.example.com\r\n250 PIPELINING\r\n'
const CHUNKING = '250-mx.example.com\r\n250-PIPELINING\r\n250 CHUNKING\r\n'
const MAIL: Step = { waitFor: 'MAIL FROM:<a@x.example>\r\n' }
const RCPT_B: Step = { waitFor: 'RCPT TO:<b@y.example>\r\n' }
const RCPT_C: Step = { waitFor: 'RCPT TO:<c@y.example>\r\n' }
const DATA: Step = { waitFor: 'DATA\r\n' }
const DOT: Step = { waitFor: '\r\n.\r\n' }
const OK = '250 2.0.0 OK\r\n'
const GO = '354 Go on\r\n'
const LEAVE = '421 4.3.2 Closing\r\n'
const END: Step = { act: 'end' }
const RESET: Step = { act: 'destroy' }
export const MESSAGE = 'Subject: x\r\n\r\nHello\r\n'

/** One transaction in lockstep, up to each stage. */
const GREETED: readonly Step[] = [GREET, EHLO, PLAIN]
const MAILED: readonly Step[] = [...GREETED, MAIL, OK]
const TO_B: readonly Step[] = [...MAILED, RCPT_B, OK]
const TO_BOTH: readonly Step[] = [...TO_B, RCPT_C, OK]
const IN_DATA: readonly Step[] = [...TO_BOTH, DATA, GO]
const WHOLE: readonly Step[] = [...IN_DATA, DOT]
/** The same with PIPELINING. */
const GROUP: readonly Step[] = [GREET, EHLO, PIPELINING, DATA]
/** With CHUNKING the message is there with MAIL. */
const AT_ONCE: readonly Step[] = [GREET, EHLO, CHUNKING, { waitFor: 'Hello\r\n' }]
const LMTP: readonly Step[] = [GREET, LHLO, PIPELINING, DATA, OK + OK + OK + GO, DOT]

const STAGES: readonly (readonly [string, readonly Step[], string])[] = [
  ['before the greeting', [], 'greeting'],
  ['after EHLO', [GREET, EHLO], 'hello'],
  ['after MAIL', [...GREETED, MAIL], 'mail'],
  ['after RCPT', [...MAILED, RCPT_B], 'rcpt'],
  ['after the second RCPT', [...TO_B, RCPT_C], 'rcpt'],
  ['after DATA', [...TO_BOTH, DATA], 'data'],
  ['after the dot', WHOLE, 'final'],
]

function closes(what: string, step: Step): Row[] {
  return STAGES.map(([name, script, stage]) => ({
    name: `${what} ${name}`,
    script: [...script, step],
    becomes: `closed ${stage} temporary${stage === 'final' ? ' maybe-accepted' : ''}`,
  }))
}

const LEFT_AT: Readonly<Record<string, string>> = {
  'after RCPT': ' b:rcpt:421 c:rcpt:421',
  'after the second RCPT': ' b:data:421 c:rcpt:421',
  'after DATA': ' b:data:421 c:data:421',
  'after the dot': ' b:final:421 c:final:421',
}

export const ROWS: readonly Row[] = [
  ...closes('closes', END),
  ...closes('resets the connection', RESET),
  ...STAGES.map(([name, script, stage]) => ({
    name: `hangs ${name}`,
    script,
    options: { timeouts: SHORT() },
    becomes: `timeout ${stage} temporary${stage === 'final' ? ' maybe-accepted' : ''}`,
  })),
  ...STAGES.map(([name, script, stage]) => ({
    name: `says 421 ${name}`,
    script: [...script, LEAVE, END],
    becomes: `refused ${stage} 421 temporary${LEFT_AT[name] ?? ''}`,
  })),
  ...STAGES.map(([name, script, stage]) => ({
    name: `sends half a reply ${name}, and hangs`,
    script: [...script, '250-mx'],
    options: { timeouts: SHORT() },
    becomes: `timeout ${stage} temporary${stage === 'final' ? ' maybe-accepted' : ''}`,
  })),

  {
    name: 'greets with an endless line',
    script: [{ endlessly: 'x'.repeat(1_000) }],
    becomes: 'protocol greeting temporary',
  },
  {
    name: 'greets with endless lines',
    script: [{ endlessly: '220-hello\r\n' }],
    becomes: 'protocol greeting temporary',
  },
  {
    name: 'greets with endless lines, each of them long',
    script: [{ endlessly: `220-${'x'.repeat(2_000)}\r\n` }],
    becomes: 'protocol greeting temporary',
  },
  {
    name: 'answers EHLO with endless extensions',
    script: [GREET, EHLO, { endlessly: '250-X-EXTENSION\r\n' }],
    becomes: 'protocol hello temporary',
  },
  ...['SSH-2.0-OpenSSH\r\n', '199 early\r\n', '600 late\r\n', '22O letter\r\n', '220_mx\r\n', '22\r\n', '\r\n'].map(
    (text) => ({
      name: `greets with ${JSON.stringify(text)}`,
      script: [text],
      becomes: 'protocol greeting temporary',
    }),
  ),
  { name: 'greets with a bare LF', script: ['220 mx\n'], becomes: 'protocol greeting temporary' },
  { name: 'greets with a bare CR', script: ['220 mx\rmore\r\n'], becomes: 'protocol greeting temporary' },
  { name: 'greets with a NUL', script: ['220 mx\0\r\n'], becomes: 'protocol greeting temporary' },
  { name: 'greets with two codes', script: ['220-mx\r\n250 mx\r\n'], becomes: 'protocol greeting temporary' },
  { name: 'greets with 250', script: ['250 mx\r\n'], becomes: 'protocol greeting temporary' },
  { name: 'greets with 354', script: [GO], becomes: 'protocol greeting temporary' },
  { name: 'greets with 554', script: ['554 5.7.1 No\r\n'], becomes: 'refused greeting 554' },
  { name: 'greets with 450', script: ['450 4.7.1 Later\r\n'], becomes: 'refused greeting 450 temporary' },
  { name: 'refuses EHLO for now', script: [GREET, EHLO, '450 Later\r\n'], becomes: 'refused hello 450 temporary' },
  {
    name: 'refuses EHLO and HELO',
    script: [GREET, EHLO, '502 No\r\n', { waitFor: 'HELO client.example.com\r\n' }, '550 5.7.1 No\r\n'],
    becomes: 'refused hello 550',
  },
  { name: 'answers EHLO with 354', script: [GREET, EHLO, GO], becomes: 'protocol hello temporary' },
  { name: 'answers EHLO with 220', script: [GREET, EHLO, GREET], becomes: 'protocol hello temporary' },
  { name: 'says more than its greeting', script: [GREET + OK], becomes: 'protocol hello temporary', sent: '' },
  {
    name: 'says more than its reply to EHLO',
    script: [GREET, EHLO, PLAIN + OK],
    becomes: 'protocol command temporary',
  },
  { name: 'accepts MAIL twice', script: [...GREETED, MAIL, OK + OK], becomes: 'protocol rcpt temporary' },
  { name: 'accepts RCPT twice', script: [...MAILED, RCPT_B, OK + OK], becomes: 'protocol rcpt temporary' },
  { name: 'says 250 behind 354', script: [...TO_BOTH, DATA, GO + OK], becomes: 'protocol message temporary' },
  { name: 'answers MAIL with 354', script: [...GREETED, MAIL, GO], becomes: 'protocol mail temporary' },
  { name: 'answers RCPT with 334', script: [...MAILED, RCPT_B, '334 \r\n'], becomes: 'protocol rcpt temporary' },
  { name: 'answers DATA with 250', script: [...TO_BOTH, DATA, OK], becomes: 'protocol data temporary' },
  { name: 'answers DATA with 334', script: [...TO_BOTH, DATA, '334 \r\n'], becomes: 'protocol data temporary' },
  { name: 'answers the dot with 354', script: [...WHOLE, GO], becomes: 'protocol final temporary maybe-accepted' },
  {
    name: 'answers the dot with 8-bit text',
    script: [...WHOLE, '250 \xe9\xff ok\r\n'],
    becomes: 'b:final:250 c:final:250',
  },

  { name: 'refuses MAIL', script: [...GREETED, MAIL, '550 5.7.1 No\r\n'], becomes: 'refused mail 550' },
  {
    name: 'refuses MAIL for now',
    script: [...GREETED, MAIL, '451 4.3.0 Later\r\n'],
    becomes: 'refused mail 451 temporary',
  },
  {
    name: 'refuses one recipient',
    script: [...MAILED, RCPT_B, '550 5.1.1 Unknown\r\n', RCPT_C, OK, DATA, GO, DOT, OK],
    becomes: 'b:rcpt:550 c:final:250',
  },
  {
    name: 'refuses both recipients, one for now',
    script: [...MAILED, RCPT_B, '550 5.1.1 Unknown\r\n', RCPT_C, '452 4.2.2 Full\r\n'],
    becomes: 'refused rcpt 452 temporary b:rcpt:550 c:rcpt:452',
  },
  {
    name: 'refuses DATA',
    script: [...TO_B, RCPT_C, '550 5.1.1 Unknown\r\n', DATA, '554 5.7.1 No\r\n'],
    becomes: 'refused data 554 b:data:554 c:rcpt:550',
  },
  {
    name: 'refuses the message',
    script: [...WHOLE, '550 5.7.1 Spam\r\n'],
    becomes: 'refused final 550 b:final:550 c:final:550',
  },

  {
    name: 'says 354 with no recipient accepted',
    script: [...GROUP, `${OK}550 No\r\n550 No\r\n${GO}`, { waitFor: '.\r\n' }, '554 No recipients\r\n'],
    becomes: 'refused rcpt 550 b:rcpt:550 c:rcpt:550',
    sent: 'DATA\r\n.\r\n',
  },
  {
    name: 'says 354 after a refused MAIL',
    script: [...GROUP, `550 No\r\n503 No\r\n503 No\r\n${GO}`, { waitFor: '.\r\n' }, '554 No\r\n'],
    becomes: 'refused mail 550',
    sent: 'DATA\r\n.\r\n',
  },
  {
    name: 'refuses all of a group',
    script: [...GROUP, '550 No\r\n503 No\r\n503 No\r\n503 No\r\n'],
    becomes: 'refused mail 550',
    sent: 'DATA\r\n',
  },
  {
    name: 'says 421 within a group',
    script: [...GROUP, OK + OK + LEAVE, END],
    becomes: 'refused rcpt 421 temporary b:data:421 c:rcpt:421',
  },
  { name: 'closes within a group', script: [...GROUP, OK + OK, END], becomes: 'closed rcpt temporary' },
  {
    name: 'says 354 in place of a reply of a group',
    script: [...GROUP, OK + OK + GO],
    becomes: 'protocol rcpt temporary',
  },

  {
    name: 'refuses a long message in its middle, and closes',
    script: [...TO_BOTH, DATA, GO, { waitFor: 'Subject' }, '552 5.3.4 Too big\r\n', END],
    streams: true,
    becomes: 'refused message 552 b:final:552 c:final:552',
  },
  {
    name: 'refuses a long message in its middle, and reads no more',
    script: [...TO_BOTH, DATA, GO, { waitFor: 'Subject' }, '552 5.3.4 Too big\r\n', { waitFor: 'never' }],
    streams: true,
    becomes: 'refused message 552 b:final:552 c:final:552',
  },
  {
    name: 'accepts a long message in its middle',
    script: [...TO_BOTH, DATA, GO, { waitFor: 'Subject' }, OK, { waitFor: 'never' }],
    streams: true,
    becomes: 'protocol message temporary',
  },
  {
    name: 'says 421 in the middle of a long message',
    script: [...TO_BOTH, DATA, GO, { waitFor: 'Subject' }, LEAVE, END],
    streams: true,
    becomes: 'refused message 421 temporary b:final:421 c:final:421',
  },
  {
    name: 'closes in the middle of a long message',
    script: [...TO_BOTH, DATA, GO, { waitFor: 'Subject' }, RESET],
    streams: true,
    becomes: 'closed message temporary',
  },
  {
    name: 'refuses a chunk of a stream',
    script: [GREET, EHLO, CHUNKING, RCPT_C, OK + OK + OK, { waitFor: 'BDAT 65536\r\n' }, '552 5.3.4 Too big\r\n'],
    streams: true,
    becomes: 'refused data 552 b:data:552 c:data:552',
  },
  {
    name: 'closes between chunks',
    script: [GREET, EHLO, CHUNKING, RCPT_C, OK + OK + OK, { waitFor: 'BDAT 65536\r\n' }, OK, RESET],
    streams: true,
    becomes: 'closed message temporary',
  },

  { name: 'accepts a message at once', script: [...AT_ONCE, OK + OK + OK + OK], becomes: 'b:final:250 c:final:250' },
  {
    name: 'closes without a reply to a message at once',
    script: [...AT_ONCE, END],
    becomes: 'closed mail temporary maybe-accepted',
  },
  {
    name: 'closes before the last reply to a message at once',
    script: [...AT_ONCE, `${OK + OK}550 5.1.1 No\r\n`, END],
    becomes: 'closed final temporary maybe-accepted c:rcpt:550',
  },
  {
    name: 'closes after it has refused all recipients of a message at once',
    script: [...AT_ONCE, `${OK}550 No\r\n550 No\r\n`, END],
    becomes: 'closed final temporary b:rcpt:550 c:rcpt:550',
  },
  {
    name: 'refuses all of a message at once',
    script: [...AT_ONCE, `${OK}550 No\r\n550 No\r\n503 No\r\n`],
    becomes: 'refused rcpt 550 b:rcpt:550 c:rcpt:550',
  },

  {
    name: 'delivers to one recipient by LMTP',
    script: [...LMTP, `${OK}452 4.2.2 Full\r\n`],
    options: { protocol: 'lmtp' },
    becomes: 'b:final:250 c:final:452',
  },
  {
    name: 'delivers to no recipient by LMTP',
    script: [...LMTP, '550 5.2.1 Off\r\n452 4.2.2 Full\r\n'],
    options: { protocol: 'lmtp' },
    becomes: 'refused final 452 temporary b:final:550 c:final:452',
  },
  {
    name: 'gives too few replies by LMTP, and closes',
    script: [...LMTP, OK, END],
    options: { protocol: 'lmtp' },
    becomes: 'closed final temporary maybe-accepted b:final:250',
  },
  {
    name: 'gives too few replies by LMTP, and hangs',
    script: [...LMTP, OK],
    options: { protocol: 'lmtp', timeouts: SHORT() },
    becomes: 'timeout final temporary maybe-accepted b:final:250',
  },
  {
    name: 'says 354 by LMTP with no recipient accepted',
    script: [GREET, LHLO, PIPELINING, DATA, `${OK}550 No\r\n550 No\r\n${GO}`],
    options: { protocol: 'lmtp' },
    becomes: 'refused rcpt 550 b:rcpt:550 c:rcpt:550',
    sent: 'DATA\r\n.\r\n',
  },
  {
    name: 'refuses LHLO',
    script: [GREET, LHLO, '500 No\r\n'],
    options: { protocol: 'lmtp' },
    becomes: 'refused hello 500',
  },
]

function SHORT(): NonNullable<ClientOptions['timeouts']> {
  return {
    greetingMs: 5,
    helloMs: 5,
    startTlsMs: 5,
    authMs: 5,
    mailMs: 5,
    rcptMs: 5,
    dataMs: 5,
    finalMs: 5,
    commandMs: 5,
    quitMs: 5,
  }
}
