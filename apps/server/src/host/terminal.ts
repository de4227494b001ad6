/** Makes text safe for a terminal. Strangers send mail, so its bytes must not reach a terminal unchanged. */
import process from 'node:process'
import { variable } from './permission.ts'

/**
 * Control characters (C0, DEL, C1), which begin escape sequences; characters that reorder or hide text (bidirectional, zero width,
 * line and paragraph separators, tags); and halves of surrogate pairs.
 */
const UNSAFE =
  // oxlint-disable-next-line no-control-regex, no-misleading-character-class
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Surrogate}]/gu

/** Makes text safe for a terminal, on one line. Control characters become `\x1b` and the like. */
export function safe(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })
}

/** Writes JSON that is safe for a terminal and has the same value. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}

/** Does the same as {@link safe} for text of several lines. */
export function safeLines(text: string): string {
  return text
    .split(/\r?\n/)
    .map((line) => line.split('\t').map(safe).join('\t'))
    .join('\n')
}

/** Returns whether a stream, by default standard output, is a terminal. */
export function isTerminal(stream: { readonly isTTY?: boolean } = process.stdout): boolean {
  return stream.isTTY === true
}

/** Returns whether to use colours on a stream (https://no-color.org). */
export function wantsColour(stream: { readonly isTTY?: boolean }): boolean {
  return isTerminal(stream) && (variable('NO_COLOR') ?? '') === '' && variable('TERM') !== 'dumb'
}

/**
 * Writes rows in columns with two blanks between them. Cuts each line to `width`.
 *
 * @param widths The least widths of the columns. A column that is wider is noted there, for the next rows of the same table
 */
export function table(rows: readonly (readonly string[])[], width: number = Infinity, widths: number[] = []): string {
  for (const row of rows) {
    row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, [...cell].length)))
  }
  return rows
    .map((row) => {
      const line = row.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - [...cell].length)).join('  ')
      const characters = [...line.trimEnd()]
      return characters.length > width ? `${characters.slice(0, width - 1).join('')}…` : characters.join('')
    })
    .map((line) => `${line}\n`)
    .join('')
}
