/** What was measured, as Markdown: ratios beside figures, and targets that are met or missed. */
import { cpuOf, isLoadBusier, type Measured, rateOf, type Round } from './measure.ts'
import type { ServerEntry } from './servers.ts'
import type { Shape } from './shapes.ts'
import { least, median, most, shown } from './statistics.ts'

export type Row = readonly string[]

export function table(head: Row, rows: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.join(' | ')} |`
  // Figures stand below one another by their right edge.
  const rule = head.map((_, i) => (i === 0 ? '---' : '--:'))
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}

const UNITS = {
  cpu: 'CPU s for 10,000 messages',
  rate: 'MiB for a CPU second',
} as const

export function shapeTable(shape: Shape, measured: readonly Measured[]): string {
  const head = [
    '',
    UNITS[shape.figure],
    'least – most',
    'cold',
    wallUnit(shape),
    'to smtp-server',
    'to barest',
    'RSS MiB',
    'target',
  ]
  const figure = (round: Round): number => (shape.figure === 'cpu' ? cpuOf(round) : rateOf(shape, round))
  const middles = new Map(measured.map((one) => [one.server.name, median(one.rounds.map(figure))]))
  const rows = measured.map((one): Row => {
    const { server, rounds, cold } = one
    const figures = rounds.map(figure)
    const own = median(figures)
    const better = (other: number | undefined): number =>
      other === undefined ? Number.NaN : shape.figure === 'cpu' ? other / own : own / other
    const smtpServer = better(middles.get('smtp-server-node'))
    const barest = middles.get(`barest-${server.runtime}`)
    const toBarest = barest === undefined ? Number.NaN : own / barest
    return [
      server.name + (isLoadBusier(one) ? ' ¹' : ''),
      shown(own),
      `${shown(least(figures))} – ${shown(most(figures))}`,
      shown(figure(cold)),
      shown(median(rounds.map((round) => wall(shape, round)))),
      smtpServer > 0 ? `${shown(smtpServer)} × better` : '',
      toBarest > 0 ? `${shown(toBarest)} ×` : '',
      shown(median(rounds.map(({ residentBytes }) => residentBytes)) / 1024 / 1024),
      targets(shape, server, toBarest, smtpServer),
    ]
  })
  const busier = measured.some(isLoadBusier) ? BUSIER : ''
  return `### ${shape.title}\n\n${table(head, rows)}${busier}`
}

const BUSIER =
  '\n\n¹ The load generator used more CPU than the server: the server could go faster than its wall time says.'

function wallUnit({ figure }: Shape): string {
  return figure === 'cpu' ? 'messages/s' : 'MiB/s'
}

function wall(shape: Shape, { messages, wallSeconds }: Round): number {
  const perSecond = messages / wallSeconds
  return shape.figure === 'cpu' ? perSecond : (perSecond * shape.messageBytes) / 1024 / 1024
}

function targets(shape: Shape, server: ServerEntry, toBarest: number, overSmtpServer: number): string {
  if (server.kind !== 'postern' || server.store !== 'discard' || server.runtime === undefined) return ''
  const { maxOfBarest, maxOfBarestOnWorkerd, minOfBarest, minOverSmtpServer } = shape.targets
  const most = server.runtime === 'workerd' ? maxOfBarestOnWorkerd : maxOfBarest
  const over = minOverSmtpServer?.[server.runtime]
  return [
    most === undefined || Number.isNaN(toBarest) ? [] : `≤ ${most} × barest: ${verdict(toBarest <= most)}`,
    minOfBarest === undefined || Number.isNaN(toBarest)
      ? []
      : `≥ ${minOfBarest} × barest: ${verdict(toBarest >= minOfBarest)}`,
    over === undefined || Number.isNaN(overSmtpServer)
      ? []
      : `≥ ${over} × smtp-server: ${verdict(overSmtpServer >= over)}`,
  ]
    .flat()
    .join('; ')
}

export function verdict(isMet: boolean): string {
  return isMet ? 'met' : '**missed**'
}
