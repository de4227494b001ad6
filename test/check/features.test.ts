/** docs/features.md names only tests that exist, and says of each feature which test shows it, or why there is none. */
import { existsSync, readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { VECTORS } from '../conformance/vectors/index.ts'

const root = resolve(import.meta.dirname, '../..')

/** The test that shows a feature. */
interface Shown {
  readonly file: string
  readonly title: string
}

/** The cells of each row of the tables. */
function rowsOf(page: string): readonly (readonly string[])[] {
  const lines = page.split('\n').filter((line) => line.startsWith('| '))
  return lines
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
    .filter(([feature = '']) => feature !== 'Feature' && !feature.startsWith('---'))
}

function shownBy(cell: string): readonly Shown[] {
  if (cell === '') return []
  return cell.split('<br>').map((entry) => {
    const [, file, title] = /^`([^`]+)` › (.+)$/.exec(entry.trim()) ?? []
    if (file === undefined || title === undefined) throw new Error(`not a file and a title: ${entry}`)
    return { file, title }
  })
}

/** Returns whether the file has a test of this title. The tests of a vectors file are rows and names of its vectors. */
function exists({ file, title }: Shown): boolean {
  if (!existsSync(join(root, file))) return false
  if (file.endsWith('.vectors.test.ts')) {
    const vectors = VECTORS[basename(file, '.vectors.test.ts')] ?? []
    return vectors.some(({ name, row }) => name === title || row === title)
  }
  const source = readFileSync(join(root, file), 'utf8')
  return [`'`, `"`, '`'].some((quote) => source.includes(`${quote}${title.replaceAll(quote, `\\${quote}`)}${quote}`))
}

const rows = rowsOf(readFileSync(join(root, 'docs/features.md'), 'utf8'))

test('each test that features.md names exists', () => {
  const shown = rows.flatMap(([, , cell = '']) => shownBy(cell))
  expect(shown.length).toBeGreaterThan(100)
  expect(shown.filter((each) => !exists(each))).toEqual([])
})

test('each feature of features.md has a test, or is open with its reason', () => {
  expect(rows.filter((cells) => cells.length !== 4)).toEqual([])
  const silent = rows.filter(
    ([, how = '', shown = '', where = '']) => !/\*\*(next|not here)\*\*/.test(how) && (shown === '' || where === ''),
  )
  expect(silent).toEqual([])
})

test('a test with another title, in another file or of another theme is found missing', () => {
  const shown = { file: 'test/check/rules.test.ts', title: 'this tree keeps the import rules' }
  const vector = { file: 'test/conformance/loops.vectors.test.ts', title: 'mail loop' }
  expect([shown, vector].map(exists)).toEqual([true, true])
  const wrong = [
    { ...shown, title: 'this tree keeps the import' },
    { ...shown, file: 'test/check/none.test.ts' },
    { ...vector, title: 'BDAT' },
  ]
  expect(wrong.map(exists)).toEqual([false, false, false])
})
