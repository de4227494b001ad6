/** The contract of queues, and its outcomes on the runtime that runs this. */
import { attempt, type Outcome, patiently, type Row } from '../outcome.ts'
import type { Ground, QueueCheck } from './check.ts'
import { claims } from './claims.ts'
import { entries } from './entries.ts'

const CHECKS: readonly QueueCheck[] = [...entries, ...claims]

interface Subject {
  /** The queue outlives its process. */
  readonly isDurable: boolean
  /** The queue has a bound of its own. */
  readonly isBounded: boolean
  readonly runtimes: readonly string[]
}

const SUBJECTS: Readonly<Record<string, Subject>> = {
  memory: { isDurable: false, isBounded: true, runtimes: ['node', 'deno', 'bun', 'workerd'] },
  SQLite: { isDurable: true, isBounded: true, runtimes: ['node', 'deno', 'bun'] },
  NATS: { isDurable: true, isBounded: true, runtimes: ['node', 'deno', 'bun'] },
  'Durable Object': { isDurable: true, isBounded: false, runtimes: ['workerd'] },
}

/** Returns the checks of all queues that a runtime has. */
export function queueRows(runtime: string): Row[] {
  const subjects = Object.keys(SUBJECTS).filter((subject) => SUBJECTS[subject]?.runtimes.includes(runtime))
  return subjects.flatMap((subject) => checksOf(subject).map(({ name: check }) => ({ subject, check })))
}

/** @param grounds By subject. A text says what the machine lacks for the queue */
export async function* queueOutcomes(grounds: Readonly<Record<string, Ground | string>>): AsyncGenerator<Outcome> {
  for (const [subject, ground] of Object.entries(grounds)) {
    if (typeof ground === 'string') {
      yield* checksOf(subject).map(({ name: check }): Outcome => ({ subject, check, result: 'absent', reason: ground }))
      continue
    }
    yield* await Promise.all(checksOf(subject).map(({ name }) => queueOutcome(subject, name, ground)))
  }
}

/** Makes one check. */
export async function queueOutcome(subject: string, check: string, ground: Ground): Promise<Outcome> {
  const found = checksOf(subject).find(({ name }) => name === check)
  if (found === undefined) throw new Error(`${subject} has no check '${check}'`)
  return { subject, check, ...(await attempt(() => patiently(found.run(ground)))) }
}

function checksOf(subject: string): readonly QueueCheck[] {
  const { isDurable, isBounded } = SUBJECTS[subject] ?? { isDurable: false, isBounded: false }
  return CHECKS.filter((check) => (isDurable || !check.isDurable) && (isBounded || !check.isBounded))
}
