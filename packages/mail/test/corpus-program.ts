/** Reads the corpus of awkward messages on the runtime that runs this: `node`, `deno run -A` or `bun run`. */
import process from 'node:process'
import { mimeOutcomes } from '../../../test/contracts/mime/mime.ts'
import { report } from '../../../test/contracts/outcome.ts'

const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'
await report(mimeOutcomes(runtime))
process.exit(0)
