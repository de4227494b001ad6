/**
 * Makes the tables of options in docs/configuration.md from the program's own rows.
 *
 *     node test/check/option-tables.ts     writes them again; documentation.test.ts fails if that is due
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Option } from '../../apps/server/src/config/options/row.ts'
import { OPTIONS, optionsOf } from '../../apps/server/src/config/options.ts'
import { flagOf } from '../../apps/server/src/config/settings.ts'
import { formatQuantity, unitOf } from '../../apps/server/src/config/values/quantity.ts'

const FILE = resolve(import.meta.dirname, '../../docs/configuration.md')
const HEAD = '| Key | Flag | Default | |\n| --- | --- | --- | --- |\n'
/** It is not an option, because it names the file with the options. */
const CONFIG = '|  | `--config <file>` | postern.config.ts, .js, .mjs or .json, if there is one | the config file |\n'
/** A heading of the third level below `## Options`, and the table right below it. */
const TABLE = /(?<=^### (?<group>[^\n]+)\n\n)\| Key \| Flag (?:\|[^\n]*\n)+/gm

/** Returns the document with new tables. */
export function withOptionTables(document: string): string {
  return document.replace(TABLE, (_, group: string) => tableOf(group))
}

/** The groups of options that have a table in the document. */
export function documentedGroups(document: string): string[] {
  return [...document.matchAll(TABLE)].map((match) => match.groups?.['group'] ?? '')
}

/** The groups of the options of `postern serve`, each once. */
export function optionGroups(): string[] {
  return [...new Set(rows().map(([, { group }]) => group.replace(/:$/, '')))]
}

/** The options that only the config file can set. */
export function fileOnlyOptions(): string[] {
  return optionsOf('serve').filter((name) => (OPTIONS[name] as Option).fileOnly === true)
}

function tableOf(group: string): string {
  const own = rows().filter(([, option]) => option.group === `${group}:`)
  return HEAD + (group === 'Where' ? CONFIG : '') + own.map(([name, option]) => rowOf(name, option)).join('')
}

function rows(): (readonly [name: string, option: Option])[] {
  return optionsOf('serve')
    .map((name) => [name, OPTIONS[name] as Option] as const)
    .filter(([, { fileOnly }]) => fileOnly !== true)
}

function rowOf(name: string, { value, help, docs, byDefault }: Option): string {
  const flag = value === undefined ? flagOf(name) : `${flagOf(name)} <${value}>`
  const text = docs?.more === undefined ? help : `${help} ${docs.more}`
  return `| \`${name}\` | \`${flag}\` | ${docs?.byDefault ?? defaultText(name, byDefault)} | ${text} |\n`
}

function defaultText(name: string, value: unknown): string {
  if (value === undefined || value === false) return ''
  return typeof value === 'number' ? formatQuantity(value, unitOf(name)) : String(value)
}

if (import.meta.main) writeFileSync(FILE, withOptionTables(readFileSync(FILE, 'utf8')))
