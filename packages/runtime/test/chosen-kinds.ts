/** The kinds of connection that a run looks at inside a runtime. Needs no test runner, and runs on Node, Deno and Bun. */
import { sample } from '../../../test/kit/sample.ts'
import type { Kind } from '../../../test/contracts/outcome.ts'

/** Another part on each runtime. */
const SALTS: Readonly<Record<string, number>> = { deno: 1, bun: 2, workerd: 3 }

/**
 * Returns a part of the kinds, which the seed chooses. `THOROUGH=1` takes all.
 *
 * @param onNode How many on Node. Default: all.
 */
export function chosenKinds<K extends Kind>(
  runtime: string,
  kinds: readonly K[],
  count: number,
  onNode: number = kinds.length,
): readonly K[] {
  return sample(kinds, runtime === 'node' ? onNode : count, SALTS[runtime])
}
