/** Finds the first of several RCPT lines that a server accepts, because the greatest length differs. */
import type { Field } from '../field.ts'

export const OPENING = 'EHLO attacker.example\r\nMAIL FROM:<attacker@attacker.example>\r\n'

/** Tries the lines on its own connection until one is not refused with a 5xx. The last one is used without a try. */
export function findLine(lines: readonly string[], field: Field, found: (line: string) => void): void {
  /** EHLO and MAIL come first. */
  let tried = -2
  field.open({
    replied(code, peer) {
      if (code === 220) return void peer.write(OPENING)
      if (tried >= 0 && code < 500) {
        peer.abandon()
        return found(lines[tried] as string)
      }
      tried++
      if (tried === lines.length - 1) {
        peer.abandon()
        return found(lines[tried] as string)
      }
      if (tried >= 0) peer.write(`${lines[tried]}\r\n`)
    },
  })
}
