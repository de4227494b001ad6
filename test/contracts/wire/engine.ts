/** The contract of the engine on every runtime: each vector of the wire, whole, byte by byte and cut at every point. */
import { play } from '../../conformance/vector.ts'
import { VECTORS } from '../../conformance/vectors/index.ts'
import { InProcess } from './in-process.ts'
import { attempt, type Outcome, type Row } from '../outcome.ts'

/** Returns what {@link engineOutcomes} reports. */
export function engineRows(): Row[] {
  return Object.values(VECTORS).flatMap((vectors) => vectors.map(({ row, name }) => ({ subject: row, check: name })))
}

export async function* engineOutcomes(): AsyncGenerator<Outcome> {
  const stage = new InProcess()
  for (const vectors of Object.values(VECTORS)) {
    for (const vector of vectors) {
      yield { subject: vector.row, check: vector.name, ...(await attempt(() => play(vector, stage))) }
    }
  }
}
