/**
 * The contract of the engine on every runtime: each vector of the wire, whole, byte by byte and cut at every point. Also how
 * domains compare, because that needs the runtime's URL.
 */
import { type Delivery, play } from '../../conformance/vector.ts'
import { VECTORS } from '../../conformance/vectors/index.ts'
import { DOMAIN_CHECKS } from './domains.ts'
import { InProcess } from './in-process.ts'
import { attempt, type Outcome, type Row } from '../outcome.ts'

const DOMAINS = 'domains'

/** Returns what {@link engineOutcomes} reports. */
export function engineRows(): Row[] {
  const vectors = Object.values(VECTORS).flat()
  return [
    ...vectors.map(({ row, name }): Row => ({ subject: row, check: name })),
    ...DOMAIN_CHECKS.map(({ check }): Row => ({ subject: DOMAINS, check })),
  ]
}

/** @param choose See {@link play}. */
export async function* engineOutcomes(
  choose?: (ways: readonly Delivery[]) => readonly Delivery[],
): AsyncGenerator<Outcome> {
  const stage = new InProcess()
  for (const vectors of Object.values(VECTORS)) {
    for (const vector of vectors) {
      yield { subject: vector.row, check: vector.name, ...(await attempt(() => play(vector, stage, choose))) }
    }
  }
  for (const { check, run } of DOMAIN_CHECKS) yield { subject: DOMAINS, check, ...(await attempt(async () => run())) }
}
