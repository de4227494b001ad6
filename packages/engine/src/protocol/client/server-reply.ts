/** A server's reply: RFC 5321 4.2, RFC 2034 (enhanced codes). */

export interface ServerReply {
  /** 200 to 599. */
  readonly code: number
  /** `class.subject.detail`; '' if the reply has none. */
  readonly enhancedCode: string
  /** The text of each line without the codes. Printable: other characters are replaced by '?'. 8-bit text is kept if it is UTF-8. */
  readonly lines: readonly string[]
  /** The lines, joined by a line feed. */
  readonly text: string
}

/** Makes a reply of its lines. The lines are printable text without the code. */
export function serverReply(code: number, texts: readonly string[]): ServerReply {
  const enhancedCode = enhancedCodeOf(code, texts[0] as string)
  const lines = enhancedCode === '' ? texts : texts.map((text) => withoutCode(text, enhancedCode))
  return { code, enhancedCode, lines, text: lines.join('\n') }
}

/** Writes a reply on one line, as errors show it. */
export function replyText({ code, enhancedCode, lines }: ServerReply): string {
  return [code, enhancedCode, ...lines].filter((part) => part !== '').join(' ')
}

function enhancedCodeOf(code: number, text: string): string {
  const found = /^([245]\.\d{1,3}\.\d{1,3})(?: |$)/.exec(text)?.[1]
  return found !== undefined && Number(found[0]) === Math.floor(code / 100) ? found : ''
}

function withoutCode(text: string, enhancedCode: string): string {
  if (text === enhancedCode) return ''
  return text.startsWith(`${enhancedCode} `) ? text.slice(enhancedCode.length + 1) : text
}
