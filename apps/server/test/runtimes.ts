/** The commands that run the program on each runtime, with everything that workers need. */
import { COMMANDS } from '../../../test/kit/commands.ts'
import { sample } from '../../../test/kit/sample.ts'

type Command = readonly [string, ...string[]]

/** For `RunOptions.command`. */
export const RUNTIMES: Readonly<Record<'node' | 'deno' | 'bun', Command>> = {
  node: [process.execPath],
  deno: [...COMMANDS.deno, '--no-prompt', '--unstable-net'],
  bun: COMMANDS.bun,
}

export type RuntimeName = keyof typeof RUNTIMES

export const RUNTIME_NAMES = Object.keys(RUNTIMES) as readonly RuntimeName[]

/** Returns Node and another runtime that the run's seed chooses, or with THOROUGH=1 all. @param salt A different number for each choice */
export function nodeAndOne(salt: number): readonly RuntimeName[] {
  return [
    'node',
    ...sample(
      RUNTIME_NAMES.filter((name) => name !== 'node'),
      1,
      salt,
    ),
  ]
}

/** Runs the same command behind a line of shell. */
export function behind(line: string, command: Command): Command {
  return ['sh', '-c', `${line}; exec "$@"`, 'sh', ...command]
}
