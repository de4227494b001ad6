#!/usr/bin/env node
/** The entry of the server and the command line for `node`, `deno run` and `bun run`. */
import process from 'node:process'
import { keepCompiled } from './src/host/compiled.ts'
import { watchSignals } from './src/host/signals.ts'

const args = process.argv.slice(2)
if (args[0] === 'serve' || args[0] === 'front') watchSignals()
// Before everything else is loaded, so that it is cached.
keepCompiled()
const [{ leave }, { run }] = await Promise.all([import('./src/host/output.ts'), import('./src/cli/program.ts')])
leave(await run(args))
