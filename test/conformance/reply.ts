/** SMTP replies as a client reads them. One that is malformed is an error. No runtime. */

export interface ClientReply {
  readonly code: number
  /** `class.subject.detail`, or '' where the reply has none. */
  readonly enhancedCode: string
  /** Behind the code and its blank or hyphen. */
  readonly lines: readonly string[]
  readonly raw: string
}

const LINE = /^([2-5]\d\d)([ -])([\x20-\x7e]*)$/
/** RFC 3463; whether it belongs there is for the test to say. */
const ENHANCED = /^([245]\.\d{1,3}\.\d{1,3}) /

/** Reads one reply, all its lines. @param nextLine The next line without CRLF; told what came of this reply before it. */
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
  return { code: Number(code), enhancedCode, lines, raw }
}

/** `code enhanced`, as vectors write what they expect. */
export function short({ code, enhancedCode }: ClientReply): string {
  return enhancedCode === '' ? String(code) : `${code} ${enhancedCode}`
}
