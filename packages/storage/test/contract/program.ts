/** Runs a part of the contract of stores on the runtime that runs this: `deno run -A` or `bun run`, with the part's name and places in S3. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { report } from '../../../../test/contracts/outcome.ts'
import { machineBackends, MEMORY } from './machine.ts'
import { type Part, storeOutcomes } from './outcomes.ts'
import { type Place, prefixed } from './s3.ts'

const directory = await mkdtemp(join(tmpdir(), 'postern-contract-'))
const ground = { isBrief: true }
const [, , part, places = '[]'] = process.argv
const buckets = (JSON.parse(places) as Place[]).map((place) => prefixed(place, { ...ground, memory: MEMORY }))
await report(storeOutcomes(part as Part, [...machineBackends(directory, ground), ...buckets]))
await rm(directory, { recursive: true })
// Does not wait for work that a check left open.
process.exit(0)
