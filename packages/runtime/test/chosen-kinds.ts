/** The kinds of connection that a run looks at inside a runtime. Needs no test runner, and runs on Node, Deno and Bun. */
import { sample } from '../../../test/kit/sample.ts'
import type { Kind } from '../../../test/contracts/outcome.ts'

/** Another part on each runtime. */
const SALTS: Readonly<Record<string, number>> = { deno: 1, bun: 2, workerd: 3 }

/** Returns all kinds on Node, and a part of them, which the seed chooses, on each other runtime. `THOROUGH=1` takes all. */
export function chosenKinds<K extends Kind>(runtime: string, kinds: readonly K[], count: number): readonly K[] {
  return runtime === 'node' ? kinds : sample(kinds, count, SALTS[runtime])
}
