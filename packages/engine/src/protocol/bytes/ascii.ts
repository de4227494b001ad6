/** Letters and blanks as SMTP defines them. The functions of JavaScript fold and trim all of Unicode: they turn `ı` into `I`. */

/** Kinds of octets that a line may contain. Each is a bit, and a line has a set of them. */
export const KIND = {
  /** 0 to 31 and 127, except the tab. Includes CR and LF. */
  control: 1,
  /** 128 and above. */
  high: 2,
  /** A slash. Few commands have one, but every HTTP request does. */
  slash: 4,
} as const

const KINDS: Uint8Array = Uint8Array.from({ length: 256 }, (_, octet) => {
  if (octet >= 128) return KIND.high
  if (octet === 47) return KIND.slash
  return (octet < 32 && octet !== 9) || octet === 127 ? KIND.control : 0
})

/** Returns the kinds of the octets from `start` to `end`. */
export function kindsOf(bytes: Uint8Array, start: number, end: number): number {
  let kinds = 0
  for (let i = start; i < end; i++) kinds |= KINDS[bytes[i] as number] as number
  return kinds
}

/**
 * Decodes ASCII octets. Commands are short, and eight octets at a time take a third of the time of TextDecoder on Node, a tenth
 * on Deno, and about the same on Bun.
 */
export function asciiText(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  let i = start
  for (; i + 8 <= end; i += 8) {
    text += String.fromCharCode(
      bytes[i] as number,
      bytes[i + 1] as number,
      bytes[i + 2] as number,
      bytes[i + 3] as number,
      bytes[i + 4] as number,
      bytes[i + 5] as number,
      bytes[i + 6] as number,
      bytes[i + 7] as number,
    )
  }
  for (; i < end; i++) text += String.fromCharCode(bytes[i] as number)
  return text
}

/** Returns whether `text` begins with `keyword`, in either case. The caller gives `keyword` in upper case. */
export function beginsWith(text: string, keyword: string): boolean {
  for (let i = 0; i < keyword.length; i++) {
    const code = text.charCodeAt(i)
    if ((code >= 97 && code <= 122 ? code - 32 : code) !== keyword.charCodeAt(i)) return false
  }
  return true
}

/** Converts a to z to upper case. Text that is not ASCII stays unchanged, so it matches no keyword. */
export function upperCase(text: string): string {
  return /[^\x00-\x7f]/.test(text) ? text : text.toUpperCase()
}

/** Removes blanks and tabs from the end (RFC 5321 4.1.1 asks servers to tolerate them). */
export function trimEnd(text: string): string {
  let end = text.length
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end--
  return end === text.length ? text : text.slice(0, end)
}

/** Removes blanks and tabs from the beginning. */
export function trimStart(text: string): string {
  let start = 0
  while (start < text.length && isBlank(text.charCodeAt(start))) start++
  return start === 0 ? text : text.slice(start)
}

export function isBlank(code: number): boolean {
  return code === 32 || code === 9
}
