/** One JSON object a line, as Workers Logs reads them. What strangers wrote stands in it as data, and secrets never do. */

type Level = 'info' | 'warn' | 'error'

export function log(level: Level, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
  console[level](JSON.stringify({ message, ...fields }))
}

/** An error and what caused it, in words. */
export function errorText(error: unknown, depth = 0): string {
  if (!(error instanceof Error)) return String(error)
  const text = error.stack ?? error.message
  return error.cause === undefined || depth === 5 ? text : `${text}\nbecause of ${errorText(error.cause, depth + 1)}`
}
