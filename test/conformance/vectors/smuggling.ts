/**
 * SMTP smuggling: sequences that some server has taken for the end of data (CVE-2023-51764, 51765, 51766, and later
 * ones). Behind each there is a whole second message. It must stay text, whatever the policy and the packets.
 */
import { type Vector, octets } from '../vector.ts'
import { DATA } from './lines.ts'

/** Sequences that are not CRLF . CRLF and that some server has read as if they were. */
export const FALSE_ENDS: Readonly<Record<string, string>> = {
  'LF . LF': '\n.\n',
  'LF . CRLF': '\n.\r\n',
  'CRLF . LF': '\r\n.\n',
  'CR . CR': '\r.\r',
  'CR . LF': '\r.\n',
  'LF . CR': '\n.\r',
  'CR . CRLF': '\r.\r\n',
  'CRLF . CR': '\r\n.\r',
  'CR LF . CR CR LF': '\r\n.\r\r\n',
  'CR CR LF . CR LF without its first': '\r\r\n..\r\n',
  'LF LF . CRLF': '\n\n.\r\n',
  'CRLF LF . CRLF': '\r\n\n.\r\n',
  'CRLF CR . CRLF': '\r\n\r.\r\n',
  'CRLF . LF CR': '\r\n.\n\r',
  'CRLF NUL . CRLF': '\r\n\0.\r\n',
  'CRLF . NUL CRLF': '\r\n.\0\r\n',
  'CRLF . CR NUL LF': '\r\n.\r\0\n',
  'CR NUL LF . CRLF': '\r\0\n.\r\n',
  'CRLF .. CRLF': '\r\n..\r\n',
  'CRLF . blank CRLF': '\r\n. \r\n',
  'CRLF blank . CRLF': '\r\n .\r\n',
  'CRLF . TAB CRLF': '\r\n.\t\r\n',
  'LF .. CRLF': '\n..\r\n',
  'LF CR . CRLF': '\n\r.\r\n',
  'LF CR . LF CR': '\n\r.\n\r',
  'VT and FF': '\r\n\v.\f\r\n',
  NEL: '\r\n\u0085.\u0085\r\n',
  'high-bit dot': '\r\n\xae\r\n',
  'high-bit CR LF': '\x8d\x8a.\x8d\x8a',
  'CRLF . CRLF in UTF-16': '\r\0\n\0.\0\r\0\n\0',
}

const SECOND = 'MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n'

/** Applies only the transparency of RFC 5321 4.5.2 to a text. */
function unstuffed(text: string): string {
  return text.replace(/(^|\r\n)\./g, '$1')
}

function normalised(text: string): string {
  return unstuffed(text).replace(/\r\n|\r|\n/g, '\r\n')
}

function hasBare(text: string): boolean {
  return /\r(?!\n)|(?<!\r)\n/.test(text)
}

export const smuggling: readonly Vector[] = Object.entries(FALSE_ENDS).flatMap(([name, end]) => {
  const text = `first${end}${SECOND}`
  const send = octets(`${text}.\r\n`)
  const isBare = hasBare(text)
  const one = { row: 'end of DATA', before: DATA, send } as const
  return [
    {
      ...one,
      name: `reject: ${name} does not end the message`,
      row: isBare ? 'bare CR or LF inside DATA' : 'end of DATA',
      expect: [isBare ? '550 5.6.0' : '250 2.0.0'],
      reached: isBare ? ['lost bare-line-ending'] : [`kept ${unstuffed(text).length}`],
      kept: isBare ? [] : [unstuffed(text)],
    },
    {
      ...one,
      name: `normalise: ${name} does not end the message`,
      row: isBare ? 'bare CR or LF inside DATA' : 'end of DATA',
      profile: { bareLineEndings: 'normalise' },
      expect: ['250 2.0.0'],
      reached: [`kept ${normalised(text).length}`],
      kept: [normalised(text)],
    },
    {
      ...one,
      name: `preserve: ${name} does not end the message`,
      row: isBare ? 'bare CR or LF inside DATA' : 'end of DATA',
      profile: { bareLineEndings: 'preserve' },
      expect: ['250 2.0.0'],
      reached: [`kept ${unstuffed(text).length}`],
      kept: [unstuffed(text)],
    },
  ] satisfies Vector[]
})
