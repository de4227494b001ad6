/** Reads and writes sizes and times as people write them: `25MiB`, `10MB`, `30s`, `5m`. A number without a unit is bytes, or milliseconds. */

const BYTE_UNITS = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
  TiB: 1_099_511_627_776,
} as const
const TIME_UNITS = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 } as const

/** A number of bytes: `10_000_000`, `'10MB'`, `'25MiB'`. */
export type ByteQuantity = number | `${number}${keyof typeof BYTE_UNITS}`
/** A time: milliseconds as a number, or `'30s'`, `'5m'`, `'1h'`. */
export type TimeQuantity = number | `${number}${keyof typeof TIME_UNITS}`

/** The unit of a number, which the end of an option's name says: `maxMessageBytes`, `idleTimeoutMs`, `maxRecipients`. */
export type Unit = 'bytes' | 'time' | 'count'

/** Returns the unit that the option's name ends with. */
export function unitOf(name: string): Unit {
  if (name.endsWith('Ms')) return 'time'
  return /(Bytes|Octets|BytesPerSecond)$/.test(name) ? 'bytes' : 'count'
}

const UNITS: Readonly<Record<Unit, Readonly<Record<string, number>>>> = {
  bytes: BYTE_UNITS,
  time: TIME_UNITS,
  count: {},
}

/** Reads a number with or without a unit. Returns a whole number, or NaN. A fraction needs a unit that makes it whole (`1.5MiB`). */
export function parseQuantity(text: string, unit: Unit): number {
  if (/^infinity$/i.test(text)) return Infinity
  const parts = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text)
  if (parts === null) return Number.NaN
  const [, digits = '', name = ''] = parts
  const factor = name === '' ? 1 : unitFactor(name, UNITS[unit])
  const value = Number(digits) * factor
  return Number.isSafeInteger(value) ? value : Number.NaN
}

function unitFactor(name: string, units: Readonly<Record<string, number>>): number {
  for (const [unit, factor] of Object.entries(units)) {
    if (unit.toLowerCase() === name.toLowerCase()) return factor
  }
  return Number.NaN
}

/** Writes a number exactly, in the largest unit that divides it: 26214400 bytes become `25MiB`. */
export function formatQuantity(value: number, unit: Unit): string {
  if (value === Infinity) return 'Infinity'
  const fitting = Object.entries(UNITS[unit]).filter(([, factor]) => value !== 0 && value % factor === 0)
  const [name, factor] = fitting.toSorted((one, other) => other[1] - one[1])[0] ?? ['', 1]
  // A number of bytes gets no `B`, because the option's name has the unit.
  return name === 'B' || name === '' ? String(value) : `${value / factor}${name}`
}

const BOUND_UNITS: Readonly<Record<Unit, readonly string[]>> = {
  bytes: ['TiB', 'GiB', 'MiB', 'KiB', 'B'],
  time: ['d', 'h', 'm', 's', 'ms'],
  count: [],
}

/** Writes a bound of a range in the largest unit that it reaches, rounded down to a tenth: 2147483647 ms become `24.8d`. */
export function formatBound(value: number, unit: Unit): string {
  const name = BOUND_UNITS[unit].find((name) => value >= (UNITS[unit][name] ?? Infinity))
  if (name === undefined) return String(value)
  // Number.MAX_SAFE_INTEGER is one byte less than 8192 TiB.
  return `${Math.floor((value / (UNITS[unit][name] ?? 1)) * 10 + 1e-9) / 10}${name}`
}

/** Writes a rounded size for people: `24.6 MiB`. */
export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 'B'
  for (const next of units) {
    if (value < 1024) break
    value /= 1024
    unit = next
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`
}
