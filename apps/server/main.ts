#!/usr/bin/env node
/** The one entry of the daemon and command line: `node`, `deno run` and `bun run` all start it. */
import process from 'node:process'
import { keepCompiled } from './src/compiled.ts'

// Before anything else is loaded: that is what it is for.
keepCompiled()
const [{ leave }, { run }] = await Promise.all([import('./src/output.ts'), import('./src/program.ts')])
leave(await run(process.argv.slice(2)))
