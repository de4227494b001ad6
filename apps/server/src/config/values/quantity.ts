/** Sizes and times as people write them: `25MiB`, `10MB`, `30s`, `5m`. A bare number is bytes, or milliseconds. */

const BYTE_UNITS = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 1024, MiB: 1_048_576, GiB: 1_073_741_824 } as const
const TIME_UNITS = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 } as const

/** A number of bytes: `10_000_000`, `'10MB'`, `'25MiB'`. */
export type ByteQuantity = number | `${number}${'B' | 'kB' | 'MB' | 'GB' | 'KiB' | 'MiB' | 'GiB'}`
/** A time: milliseconds as a number, or `'30s'`, `'5m'`, `'1h'`. */
export type TimeQuantity = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** What a number counts. An option's name says it: `maxMessageBytes`, `idleTimeoutMs`, `maxRecipients`. */
export type Unit = 'bytes' | 'time' | 'count'

/** The unit that an option's name ends in. */
export function unitOf(name: string): Unit {
  if (name.endsWith('Ms')) return 'time'
  return /(Bytes|Octets|BytesPerSecond)$/.test(name) ? 'bytes' : 'count'
}

const UNITS: Readonly<Record<Unit, Readonly<Record<string, number>>>> = {
  bytes: BYTE_UNITS,
  time: TIME_UNITS,
  count: {},
}

/** The number that a text stands for, NaN where it is none. Fractions are for units (`1.5MiB`); the result is whole or NaN. */
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

/** The shortest exact way to write a number in its unit: 26214400 bytes are `25MiB`. */
export function formatQuantity(value: number, unit: Unit): string {
  if (value === Infinity) return 'Infinity'
  const fitting = Object.entries(UNITS[unit]).filter(([, factor]) => value !== 0 && value % factor === 0)
  const [name, factor] = fitting.toSorted((one, other) => other[1] - one[1])[0] ?? ['', 1]
  // Bytes below a kilobyte and milliseconds keep their number bare where the option's name says the unit.
  return name === 'B' || name === '' ? String(value) : `${value / factor}${name}`
}

/** A size for people, rounded: `24.6 MiB`. */
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
