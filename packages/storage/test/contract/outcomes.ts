/** Runs the contract on backends, and returns the outcome of each check. Needs no test runner and no certain runtime. */
import { attempt, type Outcome, patiently } from '../../../../test/contracts/outcome.ts'
import type { PARTS } from './backends.ts'
import { blobChecks } from '../../../../test/contracts/blobs/blobs.ts'
import type { Check, Ground, MakeStore } from '../../../../test/contracts/blobs/check.ts'
import { mailChecks } from '../../../../test/contracts/mail/mail.ts'

/** Which part of the contract. */
export type Part = (typeof PARTS)[number]

export const CHECKS: Readonly<Record<Part, readonly Check[]>> = { blobs: blobChecks, mail: mailChecks }

/** One backend, as one runtime has it. */
export interface Backend {
  readonly backend: string
  readonly make: MakeStore
  readonly ground?: Ground
  /** Checks that cannot pass here, by name, with the reason. */
  readonly gaps?: Readonly<Record<string, string>>
}

/** Skips the checks that are in the gaps of the backend. @throws Error if a gap names a check that does not exist */
export function checkGaps({ backend, gaps = {} }: Backend): void {
  const names = Object.values(CHECKS).flatMap((checks) => checks.map(({ name }) => name))
  const unknown = Object.keys(gaps).find((name) => !names.includes(name))
  if (unknown !== undefined) throw new Error(`${backend}: there is no check '${unknown}' to leave out`)
}

export async function outcomeOf({ backend, make, ground, gaps = {} }: Backend, check: Check): Promise<Outcome> {
  const head = { subject: backend, check: check.name }
  const reason = gaps[check.name]
  if (reason !== undefined) return { ...head, result: 'skipped', reason }
  return { ...head, ...(await attempt(() => patiently(check.run(make, ground)))) }
}

/** The names of the checks to make on each backend, as data that can be passed to another process. */
export type Chosen = Readonly<Record<string, readonly string[]>>

export async function* storeOutcomes(
  part: Part,
  backends: readonly Backend[],
  chosen: Chosen,
): AsyncGenerator<Outcome> {
  for (const backend of backends) {
    checkGaps(backend)
    const checks = CHECKS[part].filter(({ name }) => chosen[backend.backend]?.includes(name))
    for (const check of checks) yield outcomeOf(backend, check)
  }
}
