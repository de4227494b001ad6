/** Changes valid sessions as a broken or hostile client would, from a seed. */
import type { Random } from '../../kit/random.ts'
import type { Edit, Manner, Session, Step } from './session.ts'
import { send, WAIT } from './session.ts'

type Steps = Step[]
type Mutation = (steps: Steps, random: Random) => void

/** Octets that mean something somewhere: line ends, blanks, the end of data, the ends of a range, IAC of Telnet. */
const TELLING: readonly string[] = [
  '\r\n', '\r', '\n', '\n\r', '\r\r\n', '\0', ' ', '\t', '.', '\r\n.\r\n', '\n.\n', '\r\n.\n', '\n.\r\n', '\r.\r', '\x7f', '\x80', '\xff',
  '\xff\xf4\xff\xfd\x06', '\x16\x03\x01', '\xc3\xa9', '\xc3', '\xe2\x80\xa8', '<', '>', '@', '"', '\\', ':', '=', '+', '*', '-', '%00', '[',
] // prettier-ignore

/** Commands that no valid session has, or not at this place. */
const ODD: readonly string[] = [
  'MAIL FROM:<a@b.example>\r\n', 'MAIL FROM:<a@b.example> SIZE=99999999999999999999\r\n', 'MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n',
  'MAIL FROM:<a@b.example> SMTPUTF8 SMTPUTF8\r\n', 'MAIL FROM:<a@b.example> X=1 =2 ==\r\n', 'mail from: a@b.example\r\n',
  'RCPT TO:<unknown@example.com>\r\n', 'RCPT TO:<later@example.com>\r\n', 'RCPT TO:<@:@>\r\n', 'RCPT TO:<"\\"@[IPv6:::1]>\r\n', 'RCPT TO:\r\n',
  'DATA\r\n', 'DATA\r\n.\r\n', '.\r\n', '\r\n', ' \r\n', 'BDAT 0\r\n', 'BDAT 0 LAST\r\n', 'BDAT 5\r\nQUIT\r', 'BDAT 7 LAST\r\nNOOP\r\n.',
  'BDAT 99999999999999999999 LAST\r\n', 'BDAT -1\r\n', 'BDAT 1e3\r\n', 'BDAT 3 LATER\r\nabc', 'BDAT  3\r\nabc', 'BDAT\r\n', 'bdat 30000\r\n',
  'RSET\r\n', 'QUIT\r\n', 'QUIT now\r\n', 'HELO\r\n', 'EHLO a b\r\n', 'EHLO banned.example\r\n', 'LHLO client.example\r\n', 'STARTTLS\r\n',
  'STARTTLS\r\nNOOP\r\n', 'STARTTLS now\r\n', 'AUTH\r\n', 'AUTH PLAIN\r\n', 'AUTH PLAIN =\r\n', 'AUTH PLAIN A\r\n', 'AUTH PLAIN AGFubgB3cm9uZw==\r\n',
  'AUTH NOTHING\r\n', 'AUTH LOGIN\r\n*\r\n', 'AUTH CRAM-MD5\r\nAAAA\r\n', 'AUTH SCRAM-SHA-256 biwsbj1hbm4scj14\r\nAAAA\r\n', 'AUTH EXTERNAL =\r\n',
  'AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49YW5uLHI9eA==\r\n', 'AUTH OAUTHBEARER AA==\r\n', 'AUTH XOAUTH2 =\r\n', '*\r\n',
  'GET / HTTP/1.1\r\n', 'POST /x\nHost: mx\n\n', 'PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n', 'XCLIENT NAME=a ADDR=192.0.2.1\r\n', 'XFORWARD NAME=a\r\n',
  'XCLIENT PORT=x PROTO=LMTP\r\n', 'XCLIENT LOGIN=ann\r\n', 'XCLIENT ADDR=[UNAVAILABLE]\r\n', 'RCPT TO:<full@example.com>\r\n', 'RCPT TO:<full@example.com>\r\n',
  'VRFY\r\n', 'VRFY \xff\r\n', 'EXPN list\r\n', 'HELP \x07\r\n', 'ETRN #x\r\n', 'NOOP \xc3\xa9\r\n', 'ehlo client.example\r\n', '\xef\xbb\xbfNOOP\r\n',
  'MAIL FROM:<\xc3\xa9@b.example> SMTPUTF8\r\n', 'RCPT TO:<\xc3\xa9@xn--a.example>\r\n', 'MAIL FROM:<a@b.example> AUTH=+ZZ MT-PRIORITY=10 BY=1;R\r\n',
  'MAIL FROM:<a@b.example> HOLDFOR=1 HOLDUNTIL=2000-01-01T00:00:00Z REQUIRETLS\r\n', 'RCPT TO:<a@b.example> NOTIFY=NEVER,DELAY ORCPT=;\r\n',
] // prettier-ignore

/** Lengths near the limits of the server, and far over them. */
const LENGTHS: readonly number[] = [1, 64, 500, 510, 511, 512, 513, 999, 1_100, 2_000, 5_000, 13_000, 45_000]

const onOctets: Mutation = (steps, random) => {
  const at = pick(steps, random, (step) => step.do === 'send' || step.do === 'respond')
  const step = steps[at]
  const edits = Array.from({ length: random.below(4) === 0 ? random.between(2, 6) : 1 }, () => makeEdit(random))
  if (step?.do === 'send') steps[at] = { ...step, octets: edits.reduce(edited, step.octets) }
  if (step?.do === 'respond') steps[at] = { ...step, edits: [...step.edits, ...edits] }
}

const MUTATIONS: readonly Mutation[] = [
  onOctets,
  onOctets,
  onOctets,
  // Adds a command that does not belong there, with or without a wait for its reply.
  (steps, random) => {
    const odd = send(ODD[random.below(ODD.length)] ?? '')
    insert(steps, random, random.below(2) === 0 ? [odd] : [odd, WAIT])
  },
  // Drops steps.
  (steps, random) => void steps.splice(random.below(steps.length), random.between(1, 3)),
  // Repeats a step, at times more often than the server tolerates.
  (steps, random) => {
    const at = random.below(steps.length)
    const step = steps[at]
    if (step !== undefined) steps.splice(at, 0, ...Array<Step>(random.below(4) === 0 ? 30 : 1).fill(step))
  },
  // Moves a step.
  (steps, random) => insert(steps, random, steps.splice(random.below(steps.length), 1)),
  // Sends without waiting for replies, from a point on or from the beginning.
  (steps, random) => {
    const from = random.below(2) === 0 ? 0 : random.below(steps.length)
    const rest = steps.splice(from).filter((step) => step.do !== 'wait')
    steps.push(...rest, WAIT)
  },
  // Joins what is sent into one packet.
  (steps, random) => {
    const from = random.below(steps.length)
    const taken = steps.splice(from, random.between(2, 12))
    const octets = taken.flatMap((step) => (step.do === 'send' ? [step.octets] : [])).join('')
    const others = taken.filter((step) => step.do !== 'send' && step.do !== 'wait')
    steps.splice(from, 0, send(octets), WAIT, ...others)
  },
  // Cuts a packet in small pieces.
  (steps, random) => {
    const at = pick(steps, random, (step) => step.do === 'send' && step.octets.length < 2_000)
    const step = steps[at]
    if (step?.do === 'send') steps[at] = { ...step, by: random.between(1, 9) }
  },
  // Cuts a packet in two, with a pause between.
  (steps, random) => {
    const at = pick(steps, random, (step) => step.do === 'send' && step.octets.length > 1)
    const step = steps[at]
    if (step?.do !== 'send') return
    const cut = random.between(1, Math.max(1, step.octets.length - 1))
    const pause: Step = random.below(2) === 0 ? { do: 'pause' } : WAIT
    steps.splice(at, 1, send(step.octets.slice(0, cut)), pause, send(step.octets.slice(cut)))
  },
  // Leaves before the end: politely, by a reset, or by silence.
  (steps, random) => {
    const leave: Step = { do: random.below(3) === 0 ? 'end' : 'reset' }
    const at = random.below(steps.length + 1)
    if (random.below(2) === 0) steps.splice(at, 0, leave)
    else steps.splice(at, steps.length, leave)
  },
  (steps, random) => {
    if (random.below(6) === 0) steps.splice(random.below(steps.length + 1), steps.length, { do: 'idle' })
    else insert(steps, random, [{ do: 'pause' }])
  },
  // Never reads replies again. Sends a lot, so that replies pile up.
  (steps, random) => {
    if (random.below(3) > 0) return
    const at = random.below(steps.length + 1)
    const rest = steps.splice(at).filter((step) => step.do === 'send')
    steps.push({ do: 'deaf' }, ...rest, send('NOOP\r\n'.repeat(random.below(300))), ...rest)
  },
]

/** Returns the session with one to four changes, and sometimes on another server. */
export function mutated({ kind, manner, steps }: Session, random: Random): Session {
  const changed = [...steps]
  for (let left = random.between(1, 4); left > 0; left--) {
    if (changed.length === 0) changed.push(WAIT)
    MUTATIONS[random.below(MUTATIONS.length)]?.(changed, random)
  }
  return { kind, manner: changedManner(manner, random), steps: changed }
}

function changedManner(manner: Manner, random: Random): Manner {
  return {
    ...manner,
    addresses: random.below(6) === 0 ? 'lenient' : 'strict',
    bareLineEndings: random.below(6) === 0 ? 'preserve' : 'reject',
    authRequired: manner.authRequired || random.below(20) === 0,
    isTrusted: manner.isTrusted || random.below(20) === 0,
  }
}

/** Returns octets after a change. */
export function edited(octets: string, edit: Edit): string {
  const at = octets.length === 0 ? 0 : edit.at % octets.length
  const [before, after] = [octets.slice(0, at), octets.slice(at)]
  switch (edit.edit) {
    case 'flip':
      return octets === '' ? '' : before + String.fromCharCode(after.charCodeAt(0) ^ edit.mask) + after.slice(1)
    case 'insert':
      return before + edit.octets + after
    case 'replace':
      return before + edit.octets + after.slice(edit.octets.length)
    case 'delete':
      return before + after.slice(edit.length)
    case 'double':
      return before + after.slice(0, edit.length) + after
  }
}

function makeEdit(random: Random): Edit {
  // Near the end are the line end, the end of base64, and the end of data.
  const at = random.below(3) === 0 ? 2 ** 31 - random.below(6) : random.below(100_000)
  const length = random.between(1, 9)
  switch (random.below(7)) {
    case 0:
      return { edit: 'flip', at, mask: random.between(1, 255) }
    case 1:
      return { edit: 'replace', at, octets: TELLING[random.below(TELLING.length)] ?? '' }
    case 2:
      return { edit: 'delete', at, length }
    case 3:
      return { edit: 'double', at, length }
    case 4:
      return { edit: 'insert', at, octets: long(random) }
    default:
      return { edit: 'insert', at, octets: TELLING[random.below(TELLING.length)] ?? '' }
  }
}

/** Returns many octets, in one line or in several. */
function long(random: Random): string {
  const unit = ['x', ' ', 'A', '\xff', '\0', '<', '=', ',', '\r\n', '.\r\n', 'Received: x\r\n'][random.below(11)] ?? ''
  const length = LENGTHS[random.below(LENGTHS.length)] ?? 0
  // Each line is a command, so many lines would only end the session.
  return unit.repeat(unit.includes('\n') ? Math.min(40, length) : length)
}

function insert(steps: Steps, random: Random, added: readonly Step[]): void {
  steps.splice(random.below(steps.length + 1), 0, ...added)
}

/** Returns the position of a step that fits; -1 if there is none. */
function pick(steps: Steps, random: Random, fits: (step: Step) => boolean): number {
  const fitting = steps.flatMap((step, index) => (fits(step) ? [index] : []))
  return fitting[random.below(Math.max(1, fitting.length))] ?? -1
}
