/** A directory of one test or program. Needs no test runner, and runs on Node, Deno and Bun. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const PREFIX: string = join(tmpdir(), 'postern-test-')

export class Scratch implements AsyncDisposable {
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
