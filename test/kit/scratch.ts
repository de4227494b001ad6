/** Directories for tests. */
import { mkdtempSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

const PREFIX: string = join(tmpdir(), 'postern-test-')

/** Makes a directory that is removed after the tests of this file. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(PREFIX)
  afterAll(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }))
  return directory
}

/** A directory of one test, which is removed after it. */
export class Scratch {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async make(): Promise<Scratch> {
    return new Scratch(await mkdtemp(PREFIX))
  }

  join(...names: string[]): string {
    return join(this.path, ...names)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 3 })
  }
}
