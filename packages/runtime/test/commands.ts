/** How a program is run on each server runtime. */
import { createRequire } from 'node:module'
import { resolve } from 'node:path'

/** The binary itself: what the package puts in the path is a script that starts it, and signals do not get through that. */
const deno = resolve(createRequire(import.meta.url).resolve('deno/package.json'), '../deno')

export const COMMANDS: Readonly<Record<'node' | 'deno' | 'bun', readonly [string, ...string[]]>> = {
  node: ['node'],
  deno: [deno, 'run', '--allow-all'],
  bun: ['bun', 'run'],
}
