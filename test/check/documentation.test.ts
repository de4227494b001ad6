/** The documents name only options, files and commands that exist. */
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { isSchemaFileDue } from './document-schema.ts'
import { documentedGroups, fileOnlyOptions, optionGroups, withOptionTables } from './option-tables.ts'

const root = resolve(import.meta.dirname, '../..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

test('message.schema.json is what `node test/check/document-schema.ts` writes', () => {
  expect(isSchemaFileDue()).toBe(false)
})

test('the tables of configuration.md are those that `node test/check/option-tables.ts` writes', () => {
  const document = read('docs/configuration.md')
  expect(documentedGroups(document)).toEqual(optionGroups())
  expect(document).toBe(withOptionTables(document))
})

test('a table of configuration.md with other text is found', () => {
  const document = read('docs/configuration.md').replace('| 25MiB |', '| 26MiB |')
  expect(document).not.toBe(withOptionTables(document))
})

test('configuration.md has every option that only the file can hold', () => {
  const [, section = ''] = /^## Only in the file\n([\s\S]*?)^## /m.exec(read('docs/configuration.md')) ?? []
  const listed = [...section.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1])
  // A store also has a text form, which is in a table above.
  expect(listed.toSorted()).toEqual([...fileOnlyOptions(), 'store'].toSorted())
})

test('configuration.md lists every option of `postern serve`, and no other', () => {
  const help = execFileSync(process.execPath, ['apps/server/main.js', 'serve', '--help'], {
    cwd: root,
    encoding: 'utf8',
  })
  const offered = [...help.matchAll(/^ {2}(--[a-z-]+)/gm)].map((match) => match[1])
  const listed = [...read('docs/configuration.md').matchAll(/^\|.*?\| `(--[a-z-]+)/gm)].map((match) => match[1])
  expect(offered.length).toBeGreaterThan(40)
  expect(listed.toSorted()).toEqual(offered.toSorted())
})

test('links between documents lead to files and headings that exist', () => {
  const documents = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...globSync('docs/**/*.md', { cwd: root })]
  const broken = documents.flatMap((document) =>
    [...read(document).matchAll(/\]\((?!https?:)([^)#]+)/g)]
      .map((match) => match[1] as string)
      .filter((target) => !existsSync(resolve(root, dirname(document), target)))
      .map((target) => `${document}: ${target}`),
  )
  expect(broken).toEqual([])
})

test('the files and folders that documents name in full exist', () => {
  const documents = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...globSync('docs/**/*.md', { cwd: root })]
  const named = documents.flatMap((document) =>
    [...read(document).matchAll(/`((?:packages|apps|test)\/[\w./-]+)`/g)].map((match) => match[1] as string),
  )
  expect(named.length).toBeGreaterThan(40)
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([])
})

test('the scripts that the README runs exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const named = [...read('README.md').matchAll(/npx --yes pnpm (?!exec)(\w+)/g)].map((match) => match[1] as string)
  expect(named.length).toBeGreaterThan(3)
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([])
})

test('the commands of the README and of runtimes.md for each runtime are the same', () => {
  const commands = (file: string): string[] =>
    [...read(file).matchAll(/^npx --yes pnpm exec (?:[^#\n\\]|\\\n)+/gm)].map(([command]) => command.trim())
  expect(commands('README.md').map((command) => command.split(' ')[4])).toEqual(['node', 'bun', 'deno', 'wrangler'])
  expect(commands('docs/runtimes.md')).toEqual(commands('README.md'))
})
