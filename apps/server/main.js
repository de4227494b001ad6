#!/usr/bin/env node
/**
 * Starts main.ts with the compile cache of Node. If Node meets a TypeScript file that is not in the cache, it loads the code
 * that strips types. That takes a third of the start time. So this file, which turns the cache on, is JavaScript.
 */
import module from 'node:module'
import { resolve } from 'node:path'

// The same folder as in src/host/compiled.ts. Deno has no such function, because it keeps compiled code without help.
module.enableCompileCache?.(resolve(import.meta.dirname, 'node_modules/.cache/compiled'))
await import('./main.ts')
