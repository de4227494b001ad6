/** Runs the engine's checks on the runtime that runs this: `node`, `deno run -A` or `bun run`. */
import process from 'node:process'
import { report } from '../contracts/outcome.ts'
import { engineOutcomes } from '../contracts/wire/engine.ts'

await report(engineOutcomes())
// Does not wait for work that a vector left open.
process.exit(0)
