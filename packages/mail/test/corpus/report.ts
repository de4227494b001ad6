/** Compares what parsers find in a message, and writes the comparison as a table. */
import type { Found, OurFindings, OurLeaf, ParserName } from './parsers.ts'

/** What one parser has of what we have. A string says how it failed. */
export type Agreement = string | { readonly bytes: readonly boolean[]; readonly names: readonly boolean[] }

export interface Comparison {
  readonly group: string
  readonly name: string
  readonly ours: OurFindings
  readonly others: Readonly<Record<ParserName, Agreement>>
}

export function agreementOf(ours: OurFindings, found: Found): Agreement {
  const bodies = new Set(found.leaves.map(({ body }) => Buffer.from(body).toString('latin1')))
  const texts = [...found.texts, ...found.leaves.map(({ body }) => Buffer.from(body).toString())].map(withoutBlanks)
  const names = new Set(found.leaves.map(({ name }) => name))
  return {
    bytes: ours.leaves.map(({ body, text }) => {
      if (bodies.has(Buffer.from(body).toString('latin1'))) return true
      return text !== undefined && texts.some((one) => one.includes(withoutBlanks(text)))
    }),
    names: ours.leaves.filter(isNamed).map(({ name }) => names.has(name)),
  }
}

function isNamed({ name }: OurLeaf): boolean {
  return name !== undefined
}

/** Parsers that join texts change blanks at their ends. */
function withoutBlanks(text: string): string {
  return text.replaceAll(/\s/g, '')
}

/** Returns what no other parser has as we have it, although each of them read the message. */
export function againstUs({ name, ours, others }: Comparison): string[] {
  const all = Object.values(others)
  const every = all.filter((one): one is Exclude<Agreement, string> => typeof one !== 'string')
  if (every.length < all.length) return []
  const bodies = ours.leaves.filter((_, i) => every.every(({ bytes }) => bytes[i] === false))
  const names = ours.leaves.filter(isNamed).filter((_, i) => every.every((one) => one.names[i] === false))
  return [
    ...bodies.map(({ section }) => `${name}: nobody else has the body of ${section}`),
    ...names.map(({ section, name: own }) => `${name}: nobody else has the name of ${section}, ${JSON.stringify(own)}`),
  ]
}

function cellOf(agreement: Agreement): string {
  if (typeof agreement === 'string') return `fails: ${agreement.slice(0, 30)}`
  const count = (list: readonly boolean[]): string => `${list.filter(Boolean).length}/${list.length}`
  const { bytes, names } = agreement
  const isEqual = [...bytes, ...names].every(Boolean)
  return `${isEqual ? '=' : '≠'} ${count(bytes)}${names.length > 0 ? `, names ${count(names)}` : ''}`
}

/** Writes a line for each message that a parser reads otherwise, and how many they are. */
export function drawn(comparisons: readonly Comparison[]): string {
  const parsers = Object.keys(comparisons[0]?.others ?? {}) as ParserName[]
  const isDifferent = (cell: string): boolean => !cell.startsWith('=')
  const rows = comparisons.map(({ group, name, ours, others }) => ({
    head: `${group}: ${name}`.slice(0, 90),
    own: `${ours.sections.length} parts${ours.defects.length > 0 ? `, ${[...new Set(ours.defects)].join(' ')}` : ''}`,
    cells: parsers.map((parser) => cellOf(others[parser])),
  }))
  const shown = rows.filter(({ cells }) => cells.some(isDifferent))
  const line = (head: string, cells: readonly string[], own: string): string =>
    `${head.padEnd(90)}  ${cells.map((cell) => cell.padEnd(22)).join('  ')}  ${own}`.trimEnd()
  const counts = parsers.map(
    (_, i) => `${rows.filter(({ cells }) => isDifferent(cells[i] ?? '')).length} of ${rows.length}`,
  )
  return [
    line('message: bodies and names that are as ours', parsers, 'ours'),
    ...shown.map(({ head, cells, own }) => line(head, cells, own)),
    line('read otherwise', counts, ''),
    '',
    ...comparisons.flatMap(againstUs),
  ].join('\n')
}
