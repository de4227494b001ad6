/** Looks at a target from outside: a test for each check. */
import { afterAll, beforeAll, describe, test } from 'vitest'
import { attempt, type Outcome, patiently } from '../contracts/outcome.ts'
import { sample } from '../kit/sample.ts'
import { settle, writeColumn } from '../../packages/runtime/test/program.ts'
import { BLACK_BOX, type BlackBoxCheck } from '../contracts/wire/black-box.ts'
import type { Gaps, Target } from '../contracts/wire/target.ts'

/** Each wait of a check has its own, shorter limit. A busy machine has many of them to do. */
const PATIENCE_MS = 300_000

/** Checks on a runtime other than Node that the seed chooses. A graceful stop and the gaps are added. */
const CHOSEN = 6
/** Another part on each runtime. */
const SALTS: Readonly<Record<string, number>> = { deno: 1, bun: 2, workerd: 3, 'wrangler dev': 4 }

export interface Subject {
  readonly runtime: string
  readonly subject: string
  /** The features that it lacks, with the reasons. */
  readonly gaps: Gaps
  start(gaps: Gaps): Promise<Target>
}

/** Starts the target before the tests. The last test stops it. */
export function testTarget({ runtime, subject, gaps, start }: Subject): void {
  describe(`${runtime}: ${subject}`, () => {
    const outcomes: Outcome[] = []
    let target: Target
    beforeAll(async () => {
      target = await start(gaps)
    })
    afterAll(async () => {
      writeColumn('black box', runtime, outcomes)
      await target?.[Symbol.asyncDispose]()
    })
    for (const check of checksOn(runtime, gaps)) {
      test(check.name, { timeout: 2 * PATIENCE_MS }, async (context) => {
        const outcome = { subject, check: check.name, ...(await look(target, check)) }
        outcomes.push(outcome)
        settle(context, outcome)
      })
    }
  })
}

/** Returns all checks on Node, and on each other runtime a part, besides the last check and all gaps. `THOROUGH=1` takes all. */
function checksOn(runtime: string, gaps: Gaps): readonly BlackBoxCheck[] {
  const all = BLACK_BOX.filter(({ without }) => without === undefined || gaps[without] !== undefined)
  if (runtime === 'node') return all
  const isAlways = (check: BlackBoxCheck): boolean =>
    check === BLACK_BOX.at(-1) || check.needs.some((ability) => gaps[ability] !== undefined)
  const others = all.filter((check) => !isAlways(check))
  const chosen = sample(others, CHOSEN, SALTS[runtime])
  return all.filter((check) => isAlways(check) || chosen.includes(check))
}

async function look(
  target: Target,
  { needs, machine, run }: BlackBoxCheck,
): Promise<Pick<Outcome, 'result' | 'reason'>> {
  const gap = needs.map((ability) => target.gaps[ability]).find((reason) => reason !== undefined)
  if (gap !== undefined) return { result: 'skipped', reason: gap }
  const missing = machine?.(target)
    .map((need) => need.missing)
    .find((lack) => lack !== undefined)
  if (missing !== undefined) return { result: 'absent', reason: missing }
  return attempt(() => patiently(run(target), PATIENCE_MS))
}
