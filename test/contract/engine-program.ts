/** Runs the engine's checks on the runtime that runs this: `node`, `deno run -A` or `bun run`. */
import process from 'node:process'
import { report } from '../../packages/runtime/test/outcome.ts'
import { engineOutcomes } from './engine-checks.ts'

await report(engineOutcomes())
// What a vector left open is not waited for.
process.exit(0)
