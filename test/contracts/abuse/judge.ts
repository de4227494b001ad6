/** Judges a played session by rules that hold for whatever a client sends. */
import type { MailStore } from '@postern/storage'
import type { Played } from './play.ts'
import { readSession, type Reading, type Reply } from './reading.ts'
import type { Session } from './session.ts'
import { HOSTNAME, isByClient } from './stage.ts'

/** RFC 5321 4.5.3.1.5, CRLF included. */
const MAX_LINE_OCTETS = 512
/** RFC 5321 4.2: textstring. */
const LINE = /^[2-5][0-5][0-9][ -][\t\x20-\x7e]*$/
/** RFC 2034 4. */
const ENHANCED = /^([245])\.\d{1,3}\.\d{1,3} /

/** Returns what is wrong with a session. An empty list means that it broke no rule. */
export async function judge(session: Session, played: Played, store: MailStore): Promise<string[]> {
  const complaints: string[] = []
  const replies = played.traffic.map(({ written }) => parseReplies(written, complaints))
  const reading = readSession(played.traffic, replies, session.manner)
  complaints.push(...reading.complaints)
  for (const error of played.errors) {
    if (!isByClient(error)) complaints.push(`the error hook got ${describe(error)}`)
  }
  const last = replies.at(-1)?.at(-1)
  const written = played.traffic.map(({ written }) => written).join('')
  if (last?.code === 221 && !played.hasLeft && played.heard !== written) {
    complaints.push(`the client read ${played.heard.length} octets of ${written.length}`)
  }
  if (reading.unanswered > 0 && last?.code !== 421 && last?.code !== 221 && !played.hasLeft && !isHandshake(last)) {
    complaints.push('a command has no reply')
  }
  complaints.push(...(await keptWrong(reading, written, played, store)))
  return complaints
}

/** After the reply to STARTTLS, the server ends the connection without a reply if what comes is no handshake. */
function isHandshake(last: Reply | undefined): boolean {
  return last?.code === 220
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** Compares what was answered with 250 with what the store has, and empties the store. */
async function keptWrong({ accepted }: Reading, written: string, played: Played, store: MailStore): Promise<string[]> {
  const complaints: string[] = []
  for (const { text, replies } of accepted) {
    const said = replies.filter(({ code }) => code === 250).map(({ lines }) => lines[0] ?? '')
    const [id] = said.flatMap((line) => / queued as (\S+)$/.exec(line)?.[1] ?? [])
    if (id === undefined || said.some((line) => line !== said[0])) {
      complaints.push(`a message is answered with ${said.join(' / ')}`)
      continue
    }
    const kept = await storedText(id, store)
    const isWhole = kept?.endsWith(text) === true && isTrace(kept.slice(0, kept.length - text.length), id)
    if (!isWhole) complaints.push(`message ${id} is kept as ${quoted(kept ?? '(nothing)')}, not ${quoted(text)}`)
  }
  const told = new Set(Array.from(written.matchAll(/^250 2\.0\.0 OK queued as (\S+)\r$/gm), ([, id = '']) => id))
  const missing = [...told].filter((id) => !played.kept.includes(id))
  if (missing.length > 0) complaints.push(`the reply 250 without being kept: ${missing.join(', ')}`)
  const untold = played.kept.filter((id) => !told.has(id))
  // A client that leaves does not hear of the last messages that it sent: of several, if it did not wait for replies.
  const areLast = played.hasLeft && String(untold) === String(played.kept.slice(-untold.length))
  if (untold.length > 0 && !areLast) complaints.push(`kept without the reply 250: ${untold.join(', ')}`)
  // The next session must not find it. One that is missing has its complaint.
  await Promise.all(played.kept.map((id) => store.delete(id).catch(() => {})))
  return complaints
}

/** Returns what the store has of a message, trace header first (Latin-1). undefined if it has none. */
async function storedText(id: string, store: MailStore): Promise<string | undefined> {
  try {
    return Buffer.from(await (await store.load(id)).bytes()).toString('latin1')
  } catch {
    return undefined
  }
}

/** Returns whether the octets before a message are its trace header and nothing else. */
function isTrace(octets: string, id: string): boolean {
  const unfolded = octets.replaceAll('\r\n ', ' ')
  const isOneField = unfolded.indexOf('\r\n') === unfolded.length - 2
  return isOneField && unfolded.startsWith('Received: from ') && unfolded.includes(` id ${id}`)
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…${text.length}` : text)
}

/** Parses replies, and notes each line that RFC 5321 4.2 and RFC 2034 do not allow. */
export function parseReplies(written: string, complaints: string[]): Reply[] {
  const replies: Reply[] = []
  if (written !== '' && !written.endsWith('\r\n')) complaints.push('the last reply has no CRLF')
  let lines: string[] = []
  for (const line of written.split('\r\n').slice(0, -1)) {
    if (!LINE.test(line)) complaints.push(`malformed reply line: ${quoted(line)}`)
    if (line.length + 2 > MAX_LINE_OCTETS) complaints.push(`reply line of ${line.length + 2} octets`)
    lines.push(line)
    if (line[3] === '-') continue
    replies.push(checkedReply(lines, complaints))
    lines = []
  }
  if (lines.length > 0) complaints.push(`a reply without its last line: ${lines[0]}`)
  return replies
}

function checkedReply(lines: readonly string[], complaints: string[]): Reply {
  const [first = ''] = lines
  const code = first.slice(0, 3)
  if (lines.some((line) => !line.startsWith(code))) complaints.push(`a reply with several codes: ${lines.join(' / ')}`)
  const enhanced = lines.map((line) => ENHANCED.exec(line.slice(4))?.[0] ?? '')
  if (new Set(enhanced).size > 1) complaints.push(`a reply with several enhanced codes: ${lines.join(' / ')}`)
  const [one = ''] = enhanced
  const isBare = code[0] === '3' || first.slice(4).split(' ', 1)[0] === HOSTNAME
  if (isBare ? one !== '' : one[0] !== code[0]) complaints.push(`the enhanced code does not fit: ${first}`)
  return { code: Number(code), lines }
}
