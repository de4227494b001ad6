/**
 * Writes the log: one JSON object a line, as Workers Logs reads them. Texts of clients are only values in it. Secrets
 * are never logged.
 */

type Level = 'info' | 'warn' | 'error'

export function log(level: Level, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
  console[level](JSON.stringify({ message, ...fields }))
}

/** Formats an error and its causes as text. */
export function errorText(error: unknown, depth = 0): string {
  if (!(error instanceof Error)) return String(error)
  const text = error.stack ?? error.message
  return error.cause === undefined || depth === 5 ? text : `${text}\nbecause of ${errorText(error.cause, depth + 1)}`
}
