/**
 * Reads one message with one parser again and again, and prints how much CPU time each reading takes, in microseconds: `test/bench/parse`
 * runs it on each runtime. All parsers get the same bytes, and decode every body to its end.
 */
import process from 'node:process'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { Splitter } from '@zone-eu/mailsplit'
import { MailParser, simpleParser } from 'mailparser'
import PostalMime from 'postal-mime'
import { parts } from '../src/index.ts'
import { SummaryReader } from '../src/summary/index.ts'

const MESSAGES = { attachment, quoted, nested, small, plain }
/** The least time of a measurement, and of what comes before it. */
const MIN_CPU_MICROSECONDS = 1_000_000
const CHUNK_BYTES = 64 * 1024

type Read = (message: Buffer) => Promise<unknown>

const PARSERS: Readonly<Record<string, Read>> = {
  async parts(message) {
    for await (const part of parts(chunksOf(message))) {
      if (part.type.startsWith('text/') && !part.isMultipart) await part.text(64 * 1024 * 1024)
      else for await (const _ of part.body);
    }
  },
  async summary(message) {
    const reader = new SummaryReader()
    for (const chunk of chunksOf(message)) reader.write(chunk)
    reader.end()
  },
  mailsplit: (message) =>
    new Promise((resolve, reject) => {
      const splitter = new Splitter()
      splitter.on('data', () => {})
      finished(splitter).then(resolve, reject)
      Readable.from(chunksOf(message)).pipe(splitter)
    }),
  mailparser(message) {
    if (message.length < CHUNK_BYTES) return simpleParser(message)
    return new Promise((resolve, reject) => {
      const parser = new MailParser()
      parser.on('data', (data: { type: string; content: Readable; release(): void }) => {
        if (data.type !== 'attachment') return
        data.content.on('data', () => {})
        data.content.on('end', () => data.release())
      })
      parser.on('end', resolve).on('error', reject)
      Readable.from(chunksOf(message)).pipe(parser)
    })
  },
  'postal-mime': (message) => PostalMime.parse(message),
}

async function repeat(work: Read, bytes: Buffer): Promise<{ microseconds: number; count: number }> {
  const start = process.cpuUsage()
  for (let count = 1; ; count++) {
    await work(bytes)
    const { user, system } = process.cpuUsage(start)
    if (user + system >= MIN_CPU_MICROSECONDS) return { microseconds: user + system, count }
  }
}

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES)
}

/** An attachment of 25 MiB in base64. */
function attachment(): string {
  const octets = Buffer.alloc(25 * 1024 * 1024)
  for (let at = 0; at < octets.length; at += 4) octets.writeUInt32LE(Math.imul(at + 1, 0x9e3779b1) >>> 0, at)
  return mixed([
    'Content-Type: text/plain\r\n\r\nSee below.',
    `Content-Type: application/octet-stream; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n${lines(octets.toString('base64'))}`,
  ])
}

/** 5 MiB of text in quoted-printable, one octet in ten escaped. */
function quoted(): string {
  const text = 'Gr=C3=BC=C3=9Fe from a line of text that is as long as lines are =\r\nin mail.\r\n'
  return `${HEADER}Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n${text.repeat(65_000)}`
}

/** 900 small parts in multiparts of ten, four deep. */
function nested(): string {
  const inside = (depth: number): string => {
    const boundary = `level-${depth}`
    const part = depth === 1 ? 'Content-Type: text/plain\r\n\r\nA few words.\r\n' : inside(depth - 1)
    return multipart(
      boundary,
      Array.from({ length: depth === 3 ? 9 : 10 }, () => part),
    )
  }
  return `${HEADER}${inside(3)}`
}

/** A message of 700 bytes in two forms, text and HTML. */
function small(): string {
  return (
    HEADER +
    multipart('xx', [
      'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nHello there,=20\r\nthis is a short text. Gr=C3=BC=C3=9Fe',
      'Content-Type: text/html; charset=utf-8\r\n\r\n<p>Hello there</p>',
    ])
  )
}

/** A message of 1 kB without MIME. */
function plain(): string {
  return `${HEADER}\r\n${'Some words of text in a line of the mail that is common.\r\n'.repeat(14)}`
}

const HEADER =
  'Received: from x by y; Tue, 1 Dec 2026 00:00:00 +0000\r\nFrom: Ann <ann@a.example>\r\nTo: Bob <bob@b.example>\r\n' +
  'Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nDate: Tue, 1 Dec 2026 00:00:00 +0000\r\nMessage-ID: <1@a.example>\r\nMIME-Version: 1.0\r\n'

function mixed(bodies: readonly string[]): string {
  return HEADER + multipart('xx', bodies)
}

function multipart(boundary: string, bodies: readonly string[]): string {
  const inner = bodies.map((body) => `--${boundary}\r\n${body}\r\n`).join('')
  return `Content-Type: multipart/mixed; boundary="${boundary}"\r\n\r\n${inner}--${boundary}--\r\n`
}

function lines(base64: string): string {
  return (base64.match(/.{1,76}/g) ?? []).join('\r\n')
}

const [, , parser = '', name = ''] = process.argv
const read = PARSERS[parser]
if (read === undefined || !Object.hasOwn(MESSAGES, name)) throw new Error(`${parser} ${name}: no such measurement`)
const message = Buffer.from(MESSAGES[name as keyof typeof MESSAGES](), 'latin1')
await repeat(read, message)
const { microseconds, count } = await repeat(read, message)
process.stdout.write(`${JSON.stringify({ microseconds: microseconds / count, bytes: message.length })}\n`)
process.exit(0)
