/** Looks at a target from outside, and tells what came of each check. */
import { attempt, type Outcome, patiently } from '../../packages/runtime/test/outcome.ts'
import { BLACK_BOX } from './black-box.ts'
import type { Target } from './target.ts'

export async function blackBoxOutcomes(subject: string, target: Target): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const { name: check, needs, without, machine, run } of BLACK_BOX) {
    if (without !== undefined && target.gaps[without] === undefined) continue
    const reason = needs.map((ability) => target.gaps[ability]).find((gap) => gap !== undefined)
    const missing = machine?.(target)
      .map((need) => need.missing)
      .find((lack) => lack !== undefined)
    if (reason !== undefined) outcomes.push({ subject, check, result: 'skipped', reason })
    else if (missing !== undefined) outcomes.push({ subject, check, result: 'absent', reason: missing })
    else outcomes.push({ subject, check, ...(await attempt(() => patiently(run(target)))) })
  }
  return outcomes
}
