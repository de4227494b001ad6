/**
 * Writes the log: one JSON object a line, as Workers Logs reads them. Texts of clients are only values in it. Secrets
 * are never logged.
 */

type Level = 'info' | 'warn' | 'error'

export function log(level: Level, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
  console[level](JSON.stringify({ message, ...fields }))
}

/** Formats an error and its causes as text. Never throws, although a hook may throw any object. */
export function errorText(error: unknown): string {
  try {
    return textOf(error, 0)
  } catch {
    return 'an error without a text'
  }
}

function textOf(error: unknown, depth: number): string {
  if (!(error instanceof Error)) return String(error)
  const text = error.stack ?? error.message
  return error.cause === undefined || depth === 5 ? text : `${text}\nbecause of ${textOf(error.cause, depth + 1)}`
}
