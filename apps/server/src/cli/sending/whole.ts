/**
 * A whole message from a file or from standard input, as `sendmail` gets it: its lines may end with LF, fields that every message has
 * may be missing, and with `-t` its own fields name the recipients.
 */
import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { Failure } from '../../host/failure.ts'
import { SYSEXIT } from './sysexits.ts'

export interface WholeOptions {
  /** A line with only a dot ends the message. */
  readonly endsAtDot: boolean
  /** Take recipients from To, Cc and Bcc. */
  readonly readsRecipients: boolean
  readonly removesBcc: boolean
  /** The value of From, if the message has none. */
  readonly from: string
  readonly hostname: string
}

export interface WholeMessage {
  /** Addresses of To, Cc and Bcc. Empty if they were not to be read. */
  readonly recipients: readonly string[]
  /** The first address of From. */
  readonly from: string | undefined
  /** The message with CRLF, with Date, Message-ID and From. */
  readonly bytes: AsyncIterable<Uint8Array>
}

/** A longer header is not read for recipients. */
const MAX_HEADER_BYTES = 1024 * 1024
/** A header line that begins a field. Lines of `mbox` files ("From ann@…") are dropped. */
const FIELD = /^([!-9;-~]{1,100}):/
const LF = 10
const CR = 13
const DOT = 46
const CRLF = new Uint8Array([CR, LF])
const NOTHING = new Uint8Array(0)
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8')

interface Field {
  readonly name: string
  /** With its continuation lines, without the last CRLF. */
  readonly text: string
}

/** Reads the header. The body is read as it is sent. @throws Failure if the header is longer than a mebibyte */
export async function readWhole(input: Readable, options: WholeOptions): Promise<WholeMessage> {
  const lines = linesOf(input, options.endsAtDot)
  const { fields, first } = await readHeader(lines)
  const found = (name: string): readonly Field[] => fields.filter((field) => field.name === name)
  const { default: parse } = await import('nodemailer/lib/addressparser')
  const addresses = (name: string): readonly string[] =>
    found(name).flatMap((field) =>
      parse(valueOf(field), { flatten: true })
        .map(({ address }) => address)
        .filter(Boolean),
    )
  const added = [
    ...(found('from').length === 0 ? [`From: ${options.from}`] : []),
    ...(found('date').length === 0 ? [`Date: ${new Date().toUTCString().replace('GMT', '+0000')}`] : []),
    ...(found('message-id').length === 0 ? [`Message-ID: <${randomUUID()}@${options.hostname}>`] : []),
  ]
  const kept = fields.filter(({ name }) => !(options.removesBcc && name === 'bcc'))
  const header = [...kept.map(({ text }) => text), ...added, '', ''].join('\r\n')
  return {
    recipients: options.readsRecipients ? ['to', 'cc', 'bcc'].flatMap(addresses) : [],
    from: addresses('from')[0],
    bytes: message(header, first, lines),
  }
}

async function* message(
  header: string,
  first: Uint8Array | undefined,
  rest: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array> {
  yield encoder.encode(header)
  if (first !== undefined) yield first
  yield* rest
}

/** Reads fields up to the empty line. A line that begins no field begins the body. */
async function readHeader(
  pieces: AsyncGenerator<Uint8Array, void, undefined>,
): Promise<{ readonly fields: readonly Field[]; readonly first: Uint8Array | undefined }> {
  const fields: { name: string; text: string }[] = []
  let held: Uint8Array = NOTHING
  for (;;) {
    const end = held.indexOf(LF)
    if (end < 0) {
      const { value, done } = await pieces.next()
      if (done === true && held.length === 0) return { fields, first: undefined }
      held = joined(held, done === true ? CRLF : (value as Uint8Array))
      if (held.length > MAX_HEADER_BYTES) throw new Failure('the header of the message is too long', SYSEXIT.dataError)
      continue
    }
    const line = decoder.decode(held.subarray(0, end - 1))
    const last = fields.at(-1)
    if (line === '') return { fields, first: held.subarray(end + 1) }
    const isContinued = (line[0] === ' ' || line[0] === '\t') && last !== undefined
    const name = FIELD.exec(line)?.[1]?.toLowerCase()
    if (isContinued) last.text += `\r\n${line}`
    else if (name !== undefined) fields.push({ name, text: line })
    else if (fields.length > 0 || !line.startsWith('From ')) return { fields, first: held }
    held = held.subarray(end + 1)
  }
}

function valueOf({ name, text }: Field): string {
  return text.slice(name.length + 1).replaceAll('\r\n', '')
}

/** Gives the input with CRLF at the end of each line. The pieces end where the input's do, or a little before. */
async function* linesOf(
  input: AsyncIterable<Uint8Array>,
  endsAtDot: boolean,
): AsyncGenerator<Uint8Array, void, undefined> {
  /** The last octets of the input so far, if they may begin the end of a line: a dot, a CR, or both. */
  let held: Uint8Array = NOTHING
  let isLineStart = true
  for await (const read of input) {
    const chunk = joined(held, read)
    const isDot = (start: number, end: number): boolean =>
      endsAtDot && isLineStart && end - start === 1 && chunk[start] === DOT
    const parts: Uint8Array[] = []
    let start = 0
    for (let lf = chunk.indexOf(LF); lf >= 0; lf = chunk.indexOf(LF, start)) {
      const end = lf > start && chunk[lf - 1] === CR ? lf - 1 : lf
      if (isDot(start, end)) {
        yield concat(parts)
        return
      }
      parts.push(chunk.subarray(start, end), CRLF)
      start = lf + 1
      isLineStart = true
    }
    let end = chunk.length > start && chunk.at(-1) === CR ? chunk.length - 1 : chunk.length
    if (isDot(start, end)) end = start
    held = chunk.slice(end)
    if (end > start) {
      parts.push(chunk.subarray(start, end))
      isLineStart = false
    }
    yield concat(parts)
  }
  // The last line may have no end. A dot that is held ends the message too.
  if (!isLineStart) yield CRLF
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  return one.length === 0 ? other : concat([one, other])
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
