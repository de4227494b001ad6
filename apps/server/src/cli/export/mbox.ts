/**
 * mbox, in its `mboxrd` form: a `From ` line, the message with LF line endings, an empty line.
 *
 * A line of the message that reads `From `, behind any number of `>`, gets one more `>`; taking one away again gives the
 * line back. What an mbox can't hold is the difference between CRLF and LF: for the exact bytes there are other formats.
 */
import type { StoredMail } from '@postern/storage'

/** One message as it stands in an mbox file. */
export async function* mboxMessage({ record, body }: StoredMail): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`From ${fromSender(record.reversePath.address)} ${fromDate(new Date(record.receivedAt))}\n`)
  let last = ''
  for await (const text of quoteFrom(lineFeeds(body))) {
    if (text === '') continue
    yield Buffer.from(text, 'latin1')
    last = text.at(-1) ?? last
  }
  yield Buffer.from(last === '\n' ? '\n' : '\n\n')
}

/** Bytes as Latin-1 text, CRLF made LF; a bare CR stays. Where chunks end makes no difference. */
export async function* lineFeeds(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let held = ''
  for await (const chunk of chunks) {
    const text = held + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1')
    // Whether this CR belongs to a CRLF, the next chunk says.
    held = text.endsWith('\r') ? '\r' : ''
    const whole = text.slice(0, text.length - held.length).replaceAll('\r\n', '\n')
    if (whole !== '') yield whole
  }
  if (held !== '') yield held
}

/** The beginning of a line that may yet become a From line. */
const UNDECIDED = /^>*(F|Fr|Fro|From)?$/

async function* quoteFrom(texts: AsyncIterable<string>): AsyncGenerator<string> {
  /**
   * Text that is not written yet, its beginning a line feed. `isWritten` says that this line feed is not to be written: the
   * message's first line has none, and later it is only there so that a line's beginning can be told.
   */
  let held = '\n'
  let isWritten = true
  for await (const text of texts) {
    const all = held + text
    const start = all.lastIndexOf('\n')
    const undecided = start === -1 ? null : UNDECIDED.exec(all.slice(start + 1))
    // One `>` more is the same wherever it stands among them, so they need not be held, however many there are.
    const rest = undecided === null ? '' : (undecided[1] ?? '')
    yield quoted(all.slice(0, all.length - rest.length), isWritten)
    isWritten = undecided !== null
    held = isWritten ? `\n${rest}` : ''
  }
  yield quoted(held, isWritten)
}

function quoted(text: string, isWritten: boolean): string {
  const lines = text.replace(/\n(?=>*From )/g, '\n>')
  return isWritten ? lines.slice(1) : lines
}

/** The null reverse-path is MAILER-DAEMON by tradition; a blank would end the address, and readers expect ASCII. */
function fromSender(address: string): string {
  return address === '' ? 'MAILER-DAEMON' : address.replace(/[^\x21-\x7e]/g, '_')
}

/** As C's asctime: `Wed Jun 30 21:49:08 1993`, in UTC. */
function fromDate(date: Date): string {
  const [weekday = '', day = '', month = '', year = '', time = ''] = date.toUTCString().replace(',', '').split(' ')
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`
}
