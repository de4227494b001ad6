/** Runs a part of the contract of stores on the runtime that runs this: `deno run -A` or `bun run`, with the part's name, the chosen checks and places in S3. */
import process from 'node:process'
import { Scratch } from '../../../../test/kit/scratch.ts'
import { report } from '../../../../test/contracts/outcome.ts'
import { machineBackends, MEMORY } from './machine.ts'
import { type Chosen, type Part, storeOutcomes } from './outcomes.ts'
import { type Place, prefixed } from './s3.ts'

const scratch = await Scratch.make()
const ground = { isBrief: true }
const [, , part, chosen = '{}', places = '[]'] = process.argv
const buckets = (JSON.parse(places) as Place[]).map((place) => prefixed(place, { ...ground, memory: MEMORY }))
const backends = [...machineBackends(scratch.path, ground), ...buckets]
await report(storeOutcomes(part as Part, backends, JSON.parse(chosen) as Chosen))
await scratch[Symbol.asyncDispose]()
// Does not wait for work that a check left open.
process.exit(0)
