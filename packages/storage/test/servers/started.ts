/** Servers that run in their own process. They print their endpoint once they are ready, and end when standard input ends. */
import type { Command } from '../../../../test/kit/commands.ts'
import { Daemon } from '../../../../test/kit/daemon.ts'

export interface Started extends AsyncDisposable {
  readonly endpoint: string
  /** The output of the server. */
  log(): string
}

/** @throws with the output of the server if it does not get ready */
export async function start(command: Command, env: NodeJS.ProcessEnv): Promise<Started> {
  const daemon = await Daemon.start(command, /^http:\S+\n/, { env, isHeld: true })
  return {
    endpoint: daemon.stdout.split('\n', 1)[0] as string,
    log: () => daemon.stderr,
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  }
}
