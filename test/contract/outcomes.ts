/** Looks at a target from outside, and tells what came of each check. */
import { attempt, type Outcome } from '../../packages/runtime/test/outcome.ts'
import { BLACK_BOX } from './black-box.ts'
import type { Target } from './target.ts'

/** Longer than any check takes on a slow machine. */
const PATIENCE_MS = 60_000

export async function blackBoxOutcomes(subject: string, target: Target): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const { name: check, needs, without, run } of BLACK_BOX) {
    if (without !== undefined && target.gaps[without] === undefined) continue
    const reason = needs.map((ability) => target.gaps[ability]).find((gap) => gap !== undefined)
    if (reason !== undefined) outcomes.push({ subject, check, result: 'skipped', reason })
    else outcomes.push({ subject, check, ...(await attempt(() => patiently(run(target)))) })
  }
  return outcomes
}

async function patiently(checked: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it took over ${PATIENCE_MS} ms`)), PATIENCE_MS)
  })
  try {
    return await Promise.race([checked, late])
  } finally {
    clearTimeout(timer)
  }
}
