/**
 * Plays changed sessions on the runtime that runs this: `node`, `deno run -A` or `bun run`. SEED=… repeats a run, ONLY=… one of its
 * sessions. THOROUGH=1 plays 10,000 sessions.
 */
import process from 'node:process'
import { abuseOutcomes } from '../contracts/abuse/abuse.ts'
import { report } from '../contracts/outcome.ts'
import { isThorough } from '../kit/sample.ts'

const { SEED, ONLY } = process.env
const seed = SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(SEED)
console.log(`SEED=${seed}`)
const counts = isThorough ? { inMemory: 9_000, overSockets: 1_000 } : { inMemory: 600, overSockets: 72 }
await report(abuseOutcomes({ seed, ...counts, ...(ONLY !== undefined && { only: Number(ONLY) }) }))
// Does not wait for a session that hangs.
process.exit(0)
