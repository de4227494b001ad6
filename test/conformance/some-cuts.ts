/** Plays less of a vector where another test plays it whole. Needs no test runner, and runs on Node, Deno and Bun. */
import { sample } from '../kit/sample.ts'
import type { Delivery } from './vector.ts'

/** A run plays one of so many cuts. */
const ONE_IN = 10

/** Returns the deliveries whole and byte by byte, and some cuts, which the seed chooses. `THOROUGH=1` takes all. */
export function someCuts(ways: readonly Delivery[]): readonly Delivery[] {
  const cuts = ways.slice(2)
  return [...ways.slice(0, 2), ...sample(cuts, Math.ceil(cuts.length / ONE_IN))]
}
