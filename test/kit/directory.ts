/** Directories that are removed after the tests of a file. */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { PREFIX } from './scratch.ts'

let root: string | undefined

export function temporaryDirectory(): string {
  root ??= mkdtempSync(PREFIX)
  return mkdtempSync(join(root, 'scratch-'))
}

/** Called by `cleanup.ts`. Tests run concurrently, and a test may make several, so all are removed when all tests of a file are done. */
export function removeDirectories(): void {
  if (root !== undefined) rmSync(root, { recursive: true, force: true, maxRetries: 3 })
  root = undefined
}
