/** Parses SMTP replies as a client does. A malformed reply is an error. Needs no certain runtime. */

export interface ClientReply {
  readonly code: number
  /** `class.subject.detail`, or '' if the reply has none. */
  readonly enhancedCode: string
  /** The text of each line, after the code and its blank or hyphen. */
  readonly lines: readonly string[]
  /** The reply as it came. */
  readonly raw: string
  /** The reply with LF between its lines, and without the last line end. */
  readonly text: string
}

const LINE = /^([2-5]\d\d)([ -])([\x20-\x7e]*)$/
/** An enhanced code of RFC 3463. The test decides whether the reply must have one. */
const ENHANCED = /^([245]\.\d{1,3}\.\d{1,3}) /

/** Reads one reply with all its lines. @param nextLine Returns the next line without CRLF. It gets the earlier lines of the reply. */
export async function readReply(nextLine: (before: string) => Promise<string>): Promise<ClientReply> {
  const lines: string[] = []
  let raw = ''
  let code = ''
  for (;;) {
    const line = await nextLine(raw)
    raw += `${line}\r\n`
    const [, lineCode = '', separator, text = ''] = LINE.exec(line) ?? []
    if (separator === undefined || line.length > 510 || (code !== '' && lineCode !== code)) {
      throw new Error(`malformed reply: ${JSON.stringify(raw)}`)
    }
    code = lineCode
    lines.push(text)
    if (separator === ' ') break
  }
  const enhancedCodes = new Set(lines.map((line) => ENHANCED.exec(line)?.[1] ?? ''))
  const [enhancedCode = ''] = enhancedCodes
  if (enhancedCode !== '' && enhancedCodes.size > 1) throw new Error(`codes differ: ${JSON.stringify(raw)}`)
  return { code: Number(code), enhancedCode, lines, raw, text: raw.slice(0, -2).replaceAll('\r\n', '\n') }
}

/** Returns `code enhanced`, as tests write expected replies. */
export function short({ code, enhancedCode }: ClientReply): string {
  return enhancedCode === '' ? String(code) : `${code} ${enhancedCode}`
}
