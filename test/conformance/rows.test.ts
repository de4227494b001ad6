/** Every decision about the wire has a test, and every vector belongs to a decision. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROWS } from './rows.ts'
import { deliveries } from './vector.ts'
import { VECTORS } from './vectors/index.ts'

test('every row is tested in the file that the table names', () => {
  const byVectors = new Set<string>(Object.values(VECTORS).flatMap((vectors) => vectors.map(({ row }) => row)))
  for (const [row, where] of Object.entries(ROWS)) {
    if (where === 'vectors') expect(byVectors, row).toContain(row)
    else expect(existsSync(join(import.meta.dirname, where)), `${row}: ${where}`).toBe(true)
  }
})

test('the names of vectors are unique', () => {
  for (const [theme, vectors] of Object.entries(VECTORS)) {
    const names = vectors.map(({ row, name }) => `${row}: ${name}`)
    expect(new Set(names).size, theme).toBe(names.length)
  }
})

test('each delivery of a vector has the same bytes in other pieces', () => {
  const ways = deliveries('MAIL FROM:<>\r\n')
  expect(ways.map(([name]) => name).slice(0, 3)).toEqual(['whole', 'byte by byte', 'cut at 1'])
  expect(ways).toHaveLength(2 + 13)
  for (const [, pieces] of ways) expect(Buffer.concat([...pieces]).toString()).toBe('MAIL FROM:<>\r\n')
})
