/** One quantity at a time grows by ten. The cost of each unit of it must not grow. */
import type { Bench } from '../bench.ts'
import { cpuOf, measure } from '../measure.ts'
import type { Findings, Section } from '../section.ts'
import { type Growth, GROWTHS, type Shape } from '../shapes.ts'
import { median, shown } from '../statistics.ts'
import { type Row, table } from '../table.ts'

/** The size of the text, or of the commands, of each round. So rounds take about the same time for all sizes. */
const MAX_ROUND_BYTES = 200 * 1024 * 1024
const MAX_ROUND_MESSAGES = 5_000
const COMMAND_BYTES = 2_000
/** There are many rows. */
const MAX_ROUNDS = 3

export const growth: Section = {
  name: 'growth',
  title: 'What grows, and what it costs then',
  async run(bench: Bench): Promise<Findings> {
    const servers = bench.servers.filter(({ kind, store }) => kind === 'postern' && store === 'discard')
    const parts: string[] = []
    for (const one of GROWTHS) {
      const cells = new Map(servers.map(({ name }): [string, string[]] => [name, []]))
      for (const value of one.values) {
        const measured = await measure(bench, shapeAt(one, value), servers, { maxRounds: MAX_ROUNDS })
        for (const { server, rounds, error } of measured) {
          const perMessage = median(rounds.map(cpuOf)) / 10_000
          const cost = error === undefined ? shown((perMessage / unitsAt(one, value)) * 1_000_000) : 'failed'
          cells.get(server.name)?.push(cost)
        }
      }
      const head = [
        `CPU µs for each ${one.unit}, by ${one.what}`,
        ...one.values.map((value) => value.toLocaleString('en-US')),
      ]
      const rows = servers.map(({ name }): Row => [name, ...(cells.get(name) ?? [])])
      parts.push(table(head, rows))
    }
    return { markdown: parts.join('\n\n') }
  },
}

function shapeAt({ base, field, what }: Growth, value: number): Shape {
  const shape = { ...base, [field]: value, name: `growth of ${what} to ${value}` }
  const bytes = shape.messageBytes + shape.recipients * COMMAND_BYTES + shape.moreFields * 40
  const messages = Math.max(10, Math.min(MAX_ROUND_MESSAGES, Math.round(MAX_ROUND_BYTES / bytes)))
  return { ...shape, messages, warmUpMessages: messages }
}

function unitsAt({ field, unitBytes = 1 }: Growth, value: number): number {
  return field === 'sessions' ? 1 : value / unitBytes
}
