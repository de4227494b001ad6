/** Tests that need a program or right which not every machine has. */
import { test, type TestContext } from 'vitest'
import type { Need } from './abilities.ts'

declare module 'vitest' {
  interface TaskMeta {
    /** What the machine lacks for a test that is skipped: `test/run.ts` counts the tests of each lack. */
    missing?: string
  }
}

export interface NeedyOptions {
  /** Default: two minutes. */
  readonly timeout?: number
  readonly concurrent?: boolean
}

/** Defines a test that is skipped by name if something is missing. With REQUIRE_PEERS=1 it fails then. */
export function testWith(
  needs: readonly Need[],
  name: string,
  body: () => Promise<void>,
  options: number | NeedyOptions = {},
): void {
  const missing = missingOf(needs)
  const { timeout = 120_000, ...rest } = typeof options === 'number' ? { timeout: options } : options
  if (missing === '') test(name, { timeout, ...rest }, body)
  else if (process.env['REQUIRE_PEERS'] === '1') {
    test(name, () => {
      throw new Error(`REQUIRE_PEERS: ${missing}`)
    })
  } else test.skip(`${name} (skipped: ${missing})`, { meta: { missing } }, body)
}

/** Skips a test that runs already. With REQUIRE_PEERS=1 it fails. */
export function skipFor({ skip, task }: TestContext, missing: string): never {
  if (process.env['REQUIRE_PEERS'] === '1') throw new Error(`REQUIRE_PEERS: ${missing}`)
  task.meta.missing = missing
  return skip(missing)
}

/** Returns what is missing, each thing once; '' if nothing is. */
export function missingOf(needs: readonly Need[]): string {
  return [...new Set(needs.flatMap(({ missing }) => missing ?? []))].join('; ')
}
