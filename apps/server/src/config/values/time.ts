/** Reads points in time as people write them. */

const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?)?$/
const MAX_MS = Date.UTC(10_000, 0) - 1

/** Reads a time such as `2026-11-30` or `2026-11-30T10:00` (UTC if it names no zone). Returns undefined for any other text. */
export function parseTime(text: string): Date | undefined {
  const [, date, time = '00:00', zone = 'Z'] = TIME.exec(text) ?? []
  return date !== undefined && isDay(date) ? timeAt(Date.parse(`${date}T${time}${zone}`)) : undefined
}

/** Returns a time that four digits of a year can write. */
export function timeAt(ms: number): Date | undefined {
  return ms >= 0 && ms <= MAX_MS ? new Date(ms) : undefined
}

/** Date.parse accepts days that do not exist, such as February 30. */
function isDay(date: string): boolean {
  const parsed = new Date(`${date}T00:00Z`)
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date)
}
