/** Runs a part of the contract of stores on the runtime that runs this: `deno run -A` or `bun run`, with the part's name. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { report } from '../../../runtime/test/outcome.ts'
import { machineBackends } from './machine.ts'
import { type Part, storeOutcomes } from './outcomes.ts'

const directory = await mkdtemp(join(tmpdir(), 'postern-contract-'))
await report(storeOutcomes(process.argv[2] as Part, machineBackends(directory, { isBrief: true })))
await rm(directory, { recursive: true })
// What a check left open is not waited for.
process.exit(0)
