/** Messages as fast as possible: the cost of one, compared with other servers. */
import type { Bench } from '../bench.ts'
import { cpuOf, isLoadBusier, measure, type Measured, rateOf, type Round } from '../measure.ts'
import type { Findings, Section } from '../section.ts'
import type { ServerEntry } from '../servers.ts'
import { type Shape, takesPart } from '../shapes.ts'
import { least, median, most, shown } from '../statistics.ts'
import { type Row, table, times, verdict } from '../table.ts'

const MiB = 1024 * 1024
const FIGURES = {
  cpu: { title: 'CPU s for 10,000', wall: 'messages/s' },
  rate: { title: 'MiB for a CPU s', wall: 'MiB/s' },
} as const
const BUSIER =
  '\n\n¹ The load generator used more CPU than the server: the server could go faster than its wall time says.'

export function throughput(shape: Shape): Section {
  return {
    name: shape.name,
    title: shape.title,
    async run(bench: Bench): Promise<Findings> {
      const servers = bench.servers.filter((server) => takesPart(shape, server))
      return found(shape, await measure(bench, shape, servers))
    },
  }
}

/** The middle figure of a server. */
function middle(shape: Shape, { rounds }: Measured): number {
  return median(rounds.map((round) => figure(shape, round)))
}

function figure(shape: Shape, round: Round): number {
  return shape.figure === 'cpu' ? cpuOf(round) : rateOf(shape, round)
}

function wall({ figure, messageBytes }: Shape, { messages, wallSeconds }: Round): number {
  return (messages / wallSeconds) * (figure === 'cpu' ? 1 : messageBytes / MiB)
}

function found(shape: Shape, measured: readonly Measured[]): Findings {
  const middles = new Map(measured.map((one) => [one.server.name, middle(shape, one)]))
  const { title, wall: wallTitle } = FIGURES[shape.figure]
  const head = ['', title, 'least – most', 'cold', wallTitle, 'RSS MiB', 'of barest', 'over smtp-server', 'target']
  const rows = measured.map((one): Row => {
    const { server, rounds, cold, error } = one
    if (error !== undefined) return [server.name, `failed: ${error.split('\n', 1)[0]}`, ...head.slice(2).map(() => '')]
    const figures = rounds.map((round) => figure(shape, round))
    const own = median(figures)
    const ofBarest = own / (middles.get(`barest-${server.runtime}`) ?? Number.NaN)
    const rival = middles.get('smtp-server-node') ?? Number.NaN
    const overRival = shape.figure === 'cpu' ? rival / own : own / rival
    return [
      server.name + (isLoadBusier(one) ? ' ¹' : ''),
      shown(own),
      `${shown(least(figures))} – ${shown(most(figures))}`,
      cold === undefined ? '' : shown(figure(shape, cold)),
      shown(median(rounds.map((round) => wall(shape, round)))),
      shown(median(rounds.map(({ residentBytes }) => residentBytes)) / MiB),
      times(ofBarest),
      times(overRival),
      targets(shape, server, ofBarest, overRival),
    ]
  })
  const footnote = measured.some(isLoadBusier) ? BUSIER : ''
  const bars = measured.flatMap(({ server, error }) =>
    error === undefined ? [{ name: server.name, value: middles.get(server.name) ?? 0 }] : [],
  )
  return { markdown: table(head, rows) + footnote, bars: { title, bars } }
}

/** Returns the target, and if it is met. */
function targets({ targets }: Shape, server: ServerEntry, ofBarest: number, overRival: number): string {
  if (server.kind !== 'postern' || server.store !== 'discard' || server.runtime === undefined) return ''
  const max = server.runtime === 'workerd' ? targets.maxOfBarestOnWorkerd : targets.maxOfBarest
  const min = targets.minOfBarest
  const over = targets.minOverSmtpServer?.[server.runtime]
  const verdicts: string[] = []
  if (max !== undefined && !Number.isNaN(ofBarest)) verdicts.push(`≤ ${max} × barest: ${verdict(ofBarest <= max)}`)
  if (min !== undefined && !Number.isNaN(ofBarest)) verdicts.push(`≥ ${min} × barest: ${verdict(ofBarest >= min)}`)
  if (over !== undefined && !Number.isNaN(overRival)) {
    verdicts.push(`≥ ${over} × smtp-server: ${verdict(overRival >= over)}`)
  }
  return verdicts.join('; ')
}
