#!/usr/bin/env node
/** The one entry of the daemon and command line: `node`, `deno run` and `bun run` all start it. */
import process from 'node:process'
import { keepCompiled } from './src/host/compiled.ts'
import { watchSignals } from './src/host/signals.ts'

const args = process.argv.slice(2)
if (args[0] === 'serve' || args[0] === 'front') watchSignals()
// Before anything else is loaded: that is what it is for.
keepCompiled()
const [{ leave }, { run }] = await Promise.all([import('./src/host/output.ts'), import('./src/cli/program.ts')])
leave(await run(args))
