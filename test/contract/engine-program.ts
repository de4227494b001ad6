/** Runs the engine's checks on the runtime that runs this: `node`, `deno run -A` or `bun run`. Node takes every cut of each vector. */
import process from 'node:process'
import { someCuts } from '../conformance/some-cuts.ts'
import { report } from '../contracts/outcome.ts'
import { engineOutcomes } from '../contracts/wire/engine.ts'

const isNode = !('Bun' in globalThis) && !('Deno' in globalThis)
await report(isNode ? engineOutcomes() : engineOutcomes(someCuts))
// Does not wait for work that a vector left open.
process.exit(0)
