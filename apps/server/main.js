#!/usr/bin/env node
/**
 * Node's shorter way to main.ts. Node loads what strips types as soon as it meets TypeScript that it kept nothing of, which is a
 * third of a start: so what turns the keeping on is not TypeScript.
 */
import module from 'node:module'
import { resolve } from 'node:path'

// The folder of src/host/compiled.ts. Deno, which keeps what it compiled by itself, has no such thing.
module.enableCompileCache?.(resolve(import.meta.dirname, 'node_modules/.cache/compiled'))
await import('./main.ts')
