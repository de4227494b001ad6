/** The contract of queues, and its outcomes on the runtime that runs this. */
import { attempt, type Outcome, patiently, type Row } from '../outcome.ts'
import type { Ground, QueueCheck } from './check.ts'
import { claims } from './claims.ts'
import { entries } from './entries.ts'

const CHECKS: readonly QueueCheck[] = [...entries, ...claims]

/** The queues of the contract, and whether each outlives its process. */
const SUBJECTS = { memory: false, SQLite: true } as const

export type Subject = keyof typeof SUBJECTS

/** Returns the checks of all queues. */
export function queueRows(): Row[] {
  return (Object.keys(SUBJECTS) as Subject[]).flatMap((subject) =>
    checksOf(subject).map(({ name: check }) => ({ subject, check })),
  )
}

export async function* queueOutcomes(grounds: Readonly<Record<Subject, Ground>>): AsyncGenerator<Outcome> {
  for (const [subject, ground] of Object.entries(grounds) as [Subject, Ground][]) {
    yield* await Promise.all(
      checksOf(subject).map(async ({ name: check, run }): Promise<Outcome> => {
        return { subject, check, ...(await attempt(() => patiently(run(ground)))) }
      }),
    )
  }
}

function checksOf(subject: Subject): readonly QueueCheck[] {
  return CHECKS.filter(({ isDurable = false }) => SUBJECTS[subject] || !isDurable)
}
