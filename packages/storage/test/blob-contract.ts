/** The contract of stores in Node. Each check is a test, so that a failure is reported by its name. */
import { afterAll, describe, test } from 'vitest'
import type { Outcome } from '../../../test/contracts/outcome.ts'
import { sample } from '../../../test/kit/sample.ts'
import { writeColumn } from '../../runtime/test/program.ts'
import { BACKENDS } from './contract/backends.ts'
import { chosenChecks } from './contract/chosen.ts'
import { type Backend, checkGaps, outcomeOf, type Part } from './contract/outcomes.ts'

export { expectCode, inParallel, pattern } from '../../../test/contracts/blobs/exchange.ts'
export { HOSTILE_KEYS } from '../../../test/contracts/blobs/keys.ts'

/** For tests that make many files. */
export const SLOW: { readonly timeout: number } = { timeout: 120_000 }
/** The check itself stops earlier and says so. */
const TIMEOUT_MS = 70_000

/** The same backends. All but one, which the seed chooses, get fewer repetitions, unless THOROUGH=1. */
export function mostlyBrief(backends: readonly Backend[], salt: number): Backend[] {
  const whole = sample(backends, 1, salt)
  return backends.map((backend) =>
    whole.includes(backend) ? backend : { ...backend, ground: { ...backend.ground, isBrief: true } },
  )
}

export function storeContract(part: Part, backend: Backend): void {
  checkGaps(backend)
  const outcomes: Outcome[] = []
  describe(`${backend.backend}: ${part}`, () => {
    for (const check of chosenChecks(part, backend.backend, 'node')) {
      const gap = backend.gaps?.[check.name]
      test(gap === undefined ? check.name : `${check.name} (${gap})`, { timeout: TIMEOUT_MS }, async (context) => {
        const outcome = await outcomeOf(backend, check)
        outcomes.push(outcome)
        if (outcome.result === 'failed') throw new Error(outcome.reason)
        if (outcome.result === 'skipped') context.skip()
      })
    }
    // A backend without a column does not appear in the matrix.
    if (Object.hasOwn(BACKENDS, backend.backend)) {
      afterAll(() => writeColumn(part, 'node', outcomes, backend.backend))
    }
  })
}
