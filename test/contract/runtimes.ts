/** How a program is run on each server runtime. */
export const COMMANDS: Readonly<Record<'node' | 'deno' | 'bun', readonly [string, ...string[]]>> = {
  node: ['node'],
  deno: ['deno', 'run', '--allow-all'],
  bun: ['bun', 'run'],
}
