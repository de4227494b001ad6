/** The text of messages: a header, and lines as they come in mail. */

const LINE = 'The quick brown fox jumps over the lazy dog, and then it rests. 0123456789\r\n'
const BODY_LINE_OF_A_DOT = '.hidden: a line that begins with a dot\r\n'

/**
 * Makes a message of exactly this many bytes, or of its header's size if that is larger. One of its lines begins with a
 * dot.
 */
export function messageText(messageBytes: number, moreFields: number): string {
  const fields = Array.from({ length: moreFields }, (_, i) => `X-Field-${i}: value of the field\r\n`)
  const head =
    'From: Sender <sender@example.com>\r\nTo: Someone <someone@example.org>\r\nSubject: Speed\r\n' +
    `Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n${fields.join('')}\r\n`
  const start = head + BODY_LINE_OF_A_DOT
  const left = messageBytes - start.length
  if (left < 2) return start
  const lines = LINE.repeat(Math.floor((left - 2) / LINE.length))
  const last = 'x'.repeat(left - lines.length - 2)
  return `${start}${lines}${last}\r\n`
}

/** Converts a message for DATA: doubles dots at the beginning of lines (RFC 5321 4.5.2), and adds the end. */
export function dotStuffed(text: string): string {
  return `${text.replaceAll('\r\n.', '\r\n..')}.\r\n`
}
