/** Letters and blanks as SMTP means them. JavaScript's own functions fold and trim all of Unicode: `ı` would become `I`. */

/** Upper case for a to z; text with anything but ASCII in it stays as it is, and so matches no keyword. */
export function upperCase(text: string): string {
  return /[^\x00-\x7f]/.test(text) ? text : text.toUpperCase()
}

/** Without the blanks and tabs at its end (RFC 5321 4.1.1 asks to bear them). */
export function trimEnd(text: string): string {
  let end = text.length
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end--
  return end === text.length ? text : text.slice(0, end)
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}
