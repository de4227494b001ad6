/** What the engine must do on every runtime: each vector of the wire, whole, byte by byte and cut at every point. */
import { play } from '../conformance/vector.ts'
import { VECTORS } from '../conformance/vectors/index.ts'
import { InProcess } from './in-process.ts'
import { attempt, type Outcome } from '../../packages/runtime/test/outcome.ts'

export async function* engineOutcomes(): AsyncGenerator<Outcome> {
  const stage = new InProcess()
  for (const vectors of Object.values(VECTORS)) {
    for (const vector of vectors) {
      yield { subject: vector.row, check: vector.name, ...(await attempt(() => play(vector, stage))) }
    }
  }
}
