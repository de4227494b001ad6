/** Writes the part of docs/performance.md between its two markers. People write the rest. */
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { chart, type Panel } from './chart.ts'

const DOCS = resolve(import.meta.dirname, '../../docs')
const BEGIN = '<!-- Written by `pnpm bench --write`. -->'
const END = '<!-- The end of what is written. -->'

/** @throws where the document has no markers */
export function writeReport(facts: string, sections: readonly string[], panels: readonly Panel[]): void {
  const path = resolve(DOCS, 'performance.md')
  const text = readFileSync(path, 'utf8')
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin === -1 || end < begin) throw new Error(`docs/performance.md: its markers are missing: ${BEGIN} and ${END}`)
  const picture = panels.length === 0 ? '' : '![The same as a chart](performance.svg)\n\n'
  if (panels.length > 0) writeFileSync(resolve(DOCS, 'performance.svg'), chart(panels))
  const written = `${BEGIN}\n\n${facts}\n\n${picture}${sections.join('\n\n')}\n\n`
  writeFileSync(path, text.slice(0, begin) + written + text.slice(end))
}
