/** The commands that run the program on each runtime, with everything that workers need. */
import { COMMANDS } from '../../../test/kit/commands.ts'

type Command = readonly [string, ...string[]]

/** For `RunOptions.command`. */
export const RUNTIMES: Readonly<Record<'node' | 'deno' | 'bun', Command>> = {
  node: [process.execPath],
  deno: [...COMMANDS.deno, '--no-prompt', '--unstable-net'],
  bun: COMMANDS.bun,
}

export const RUNTIME_NAMES = Object.keys(RUNTIMES) as readonly (keyof typeof RUNTIMES)[]

/** Runs the same command behind a line of shell. */
export function behind(line: string, command: Command): Command {
  return ['sh', '-c', `${line}; exec "$@"`, 'sh', ...command]
}
