#!/usr/bin/env node
/** The one entry of the daemon and command line: `node`, `deno run` and `bun run` all start it. */
import process from 'node:process'
import { leave } from './src/output.ts'
import { run } from './src/program.ts'

leave(await run(process.argv.slice(2)))
