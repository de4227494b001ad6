/** Dates of the Date field: RFC 5322 3.3, and the old forms of 4.3. */

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
/** RFC 5322 4.3: hours east of Greenwich. Other names say nothing. */
const ZONES: Readonly<Record<string, number>> = {
  edt: -4,
  est: -5,
  cdt: -5,
  cst: -6,
  mdt: -6,
  mst: -7,
  pdt: -7,
  pst: -8,
}
const MINUTE_MS = 60_000
const DATE =
  /^(?:[A-Za-z]{3,9} ?,? ?)?(\d{1,2}) ([A-Za-z]{3,9}) (\d{2,4}) (\d{1,2}):(\d{2})(?::(\d{2}))?(?: ([+-]\d{4}|[A-Za-z]{1,5}))?/

/** Returns the time in milliseconds since 1970; undefined if it is no date. A date without a zone is taken as UTC. */
export function parseDate(field: string): number | undefined {
  const text = singleSpaced(withoutComments(field.slice(0, 200)))
  const found = DATE.exec(text)
  if (found === null) return undefined
  const [, day, monthName = '', yearText = '', hour, minute, second, zone] = found
  const month = MONTHS.indexOf(monthName.slice(0, 3).toLowerCase())
  const year = fullYear(Number(yearText), yearText.length)
  if (month < 0 || Number(hour) > 23 || Number(minute) > 59 || Number(second ?? 0) > 60) return undefined
  const local = Date.UTC(year, month, Number(day), Number(hour), Number(minute), Number(second ?? 0))
  if (Number(day) < 1 || new Date(Date.UTC(year, month, Number(day))).getUTCMonth() !== month) return undefined
  return local - minutesOf(zone) * MINUTE_MS
}

/** RFC 5322 4.3. */
function fullYear(year: number, digits: number): number {
  if (digits === 2) return year < 50 ? year + 2000 : year + 1900
  return digits === 3 ? year + 1900 : year
}

function minutesOf(zone: string | undefined): number {
  if (zone === undefined) return 0
  if (!/^[+-]/.test(zone)) return (ZONES[zone.toLowerCase()] ?? 0) * 60
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3))
  return zone.startsWith('-') ? -minutes : minutes
}

function singleSpaced(text: string): string {
  if (!/[\t\r\n]| {2}|^ | $/.test(text)) return text
  return text
    .split(/[\t\r\n ]/)
    .filter((word) => word !== '')
    .join(' ')
}

function withoutComments(text: string): string {
  if (!text.includes('(') && !text.includes(')')) return text
  let depth = 0
  let kept = ''
  for (const character of text) {
    if (character === '(') depth++
    else if (character === ')') depth = Math.max(0, depth - 1)
    else if (depth === 0) kept += character
  }
  return kept
}
