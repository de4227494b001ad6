/** Tables and verdicts, as Markdown. */
import { shown } from './statistics.ts'

export type Row = readonly string[]

export function table(head: Row, rows: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.join(' | ')} |`
  // Figures stand below one another by their right edge.
  const rule = head.map((_, i) => (i === 0 ? '---' : '--:'))
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}

export function verdict(isMet: boolean): string {
  return isMet ? 'met' : '**missed**'
}

export function times(ratio: number): string {
  return Number.isFinite(ratio) ? `${shown(ratio)} ×` : ''
}
