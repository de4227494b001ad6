/** The command that runs a program on each server runtime. Needs no test runner. */
import { createRequire } from 'node:module'
import { resolve } from 'node:path'

export type Command = readonly [string, ...string[]]

/** The binary itself. The package puts a script into the path that starts it, but does not pass signals on. */
const deno = resolve(createRequire(import.meta.url).resolve('deno/package.json'), '../deno')

export const COMMANDS: Readonly<Record<'node' | 'deno' | 'bun', Command>> = {
  node: ['node'],
  deno: [deno, 'run', '--allow-all'],
  bun: ['bun', 'run'],
}
