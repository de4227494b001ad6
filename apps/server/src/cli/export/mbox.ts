/**
 * Writes an mbox in its `mboxrd` form: a `From ` line, the message with LF line endings, an empty line.
 *
 * If a line of the message begins with any number of `>` and then `From `, it gets one more `>`. A reader removes one
 * to restore the line. An mbox does not keep the difference between CRLF and LF. For the exact bytes use another
 * format.
 */
import type { StoredMail } from '@postern/storage'

/** Writes one message for an mbox file. */
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

/** Turns bytes into Latin-1 text with LF instead of CRLF. A bare CR stays. It does not matter where chunks end. */
export async function* lineFeeds(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let held = ''
  for await (const chunk of chunks) {
    const text = held + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1')
    // The next chunk shows if this CR belongs to a CRLF.
    held = text.endsWith('\r') ? '\r' : ''
    const whole = text.slice(0, text.length - held.length).replaceAll('\r\n', '\n')
    if (whole !== '') yield whole
  }
  if (held !== '') yield held
}

/** The beginning of a line that may become a From line. */
const UNDECIDED = /^>*(F|Fr|Fro|From)?$/

async function* quoteFrom(texts: AsyncIterable<string>): AsyncGenerator<string> {
  /**
   * Text that is not written yet. It begins with a line feed, so that the beginning of a line can be found. If `isWritten` is true,
   * that line feed must not be written again: the first line of the message has none, and later it is written already.
   */
  let held = '\n'
  let isWritten = true
  for await (const text of texts) {
    const all = held + text
    const start = all.lastIndexOf('\n')
    const undecided = start === -1 ? null : UNDECIDED.exec(all.slice(start + 1))
    // The added `>` may stand anywhere among the others, so those need not be held, however many there are.
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

/** Returns the sender for the From line. The null reverse-path is MAILER-DAEMON by tradition. A blank would end the address, and readers expect ASCII. */
function fromSender(address: string): string {
  return address === '' ? 'MAILER-DAEMON' : address.replace(/[^\x21-\x7e]/g, '_')
}

/** Writes a date as C's asctime does: `Wed Jun 30 21:49:08 1993`, in UTC. */
function fromDate(date: Date): string {
  const [weekday = '', day = '', month = '', year = '', time = ''] = date.toUTCString().replace(',', '').split(' ')
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`
}
