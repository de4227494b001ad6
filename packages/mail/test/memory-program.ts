/**
 * Reads a message of many MiB that is made while it is read, and prints by how many bytes the live memory grew at the most: heap, buffers and
 * what else the engine counts, each time after two collections: `node --expose-gc memory-program.ts CASE MIB [parts|summary]`. Without
 * `gc` that figure is worth nothing, but the peak of the process is.
 */
import process from 'node:process'
import { parts } from '../src/index.ts'
import { SummaryReader } from '../src/summary/index.ts'

const CHUNK_BYTES = 64 * 1024
const HEAD = 'From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=xx\r\n\r\n'
const BASE64 = 'Content-Type: application/octet-stream; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n'
const LINE = `${'QUJD'.repeat(19)}\r\n`

/** What comes first, and what is repeated until the message is long enough. */
const CASES: Readonly<Record<string, readonly [string, string]>> = {
  attachment: [`${HEAD}--xx\r\n${BASE64}`, LINE],
  'one line': [`${HEAD}--xx\r\nContent-Type: text/plain\r\n\r\n`, 'a word '],
  'quoted-printable': ['Content-Transfer-Encoding: quoted-printable\r\n\r\n', 'Gr=C3=BC=C3=9Fe =\r\n'],
  uuencode: ['\r\nbegin 644 a.bin\r\n', `M${'*'.repeat(60)}\r\n`],
  parts: [HEAD, '--xx\r\n\r\nx\r\n'],
  'nested messages': [HEAD, '--xx\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nx\r\n'],
  'almost delimiters': [`${HEAD}--xx\r\n\r\n`, '--x\r\n--xy\r\n\r\n--xx-\r\n'],
  'header fields': ['', 'X-Field: a value of a field that has no end\r\n'],
  'one field': ['Subject: x', '\r\n folded'],
  'lines without an end': ['\r\n', '\r'],
}

const [, , name = '', mebibytes = '1', reader = 'parts'] = process.argv
const found = CASES[name]
if (found === undefined) throw new Error(`${name}: no such case`)
const [first, repeated] = found
const total = Number(mebibytes) * 1024 * 1024
const chunk = new TextEncoder().encode(repeated.repeat(Math.ceil(CHUNK_BYTES / repeated.length)))
/** So many looks at the memory. */
const step = Math.ceil(total / 16)
let base = live()
let most = base

if (reader === 'parts') {
  for await (const part of parts(message())) for await (const _ of part.body);
} else {
  const summary = new SummaryReader()
  for (const piece of message()) summary.write(piece)
  summary.end()
}
process.stdout.write(`${most - base}\n`)

function* message(): Generator<Uint8Array> {
  yield new TextEncoder().encode(first)
  let next = step
  for (let sent = 0; sent < total; sent += chunk.length) {
    yield chunk
    if (sent < next) continue
    next += step
    const now = live()
    // What the code itself needs, compiled and cached, was loaded by the first step.
    if (sent < 2 * step) base = now
    most = Math.max(most, now)
  }
}

function live(): number {
  // The first one leaves what belonged to buffers, and frees it later.
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}
