/** Short cuts for tests that read and write blobs. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

export { get, keysIn, pages, put } from './contract/exchange.ts'

/** A directory that is gone after the tests of this file. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'postern-storage-'))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
