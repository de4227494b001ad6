/** Directories that are removed after the tests of a file. */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { PREFIX } from './scratch.ts'

let root: string | undefined

// Tests run concurrently, and a test may make several. So all are removed when all tests are done.
afterAll(() => {
  if (root !== undefined) rmSync(root, { recursive: true, force: true, maxRetries: 3 })
})

export function temporaryDirectory(): string {
  root ??= mkdtempSync(PREFIX)
  return mkdtempSync(join(root, 'scratch-'))
}
