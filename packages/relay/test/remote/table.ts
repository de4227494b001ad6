/**
 * Makes the table of remote behaviours in docs/relay.md from the rows of the test.
 *
 *     node packages/relay/test/remote/table.ts     writes it again; remote.test.ts fails if that is due
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Row } from './row.ts'
import { GROUPS } from './rows.ts'

export const FILE: string = resolve(import.meta.dirname, '../../../../docs/relay.md')
/** The table stands between these lines. */
const BEGIN = '<!-- rows of packages/relay/test/remote -->\n'
const END = '<!-- end of rows -->\n'

/** Returns the document with the table of these rows. */
export function withTables(document: string, groups: Readonly<Record<string, readonly Row[]>>): string {
  const tables = Object.entries(groups).map(([group, rows]) => `\n### ${group}\n\n${tableOf(rows)}`)
  const [before, rest] = document.split(BEGIN)
  const [, after] = (rest ?? '').split(END)
  return `${before}${BEGIN}${tables.join('')}\n${END}${after}`
}

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ name, rule, does }) => `| ${name} | ${rule} | ${does} |\n`)
  return `| The other server | RFCs | The relay |\n| --- | --- | --- |\n${lines.join('')}`
}

if (import.meta.main) writeFileSync(FILE, withTables(readFileSync(FILE, 'utf8'), GROUPS))
