/** `postern serve`, the whole program, for sections that measure it and not the engine alone. */
import { Program } from './programs.ts'
import { type RunningServer, type Runtime, scriptCommand } from './servers.ts'

export type DaemonRuntime = Exclude<Runtime, 'workerd'>

export const DAEMON_RUNTIMES: readonly DaemonRuntime[] = ['node', 'bun', 'deno']
/** What each one is to be started with: see the README. */
const MAIN: Readonly<Record<DaemonRuntime, string>> = {
  node: '../../apps/server/main.js',
  bun: '../../apps/server/main.ts',
  deno: '../../apps/server/main.ts',
}
const SERVING_TIMEOUT_MS = 20_000
const LIMITS = ['--max-connections=100000', '--max-connections-per-address=100000']

interface Event {
  readonly message?: string
  readonly addresses?: readonly string[]
}

/** Starts it on any core. It takes connections when the promise resolves. A limit among the flags replaces the wide one. */
export async function startDaemon(
  runtime: DaemonRuntime,
  store: string,
  flags: readonly string[] = [],
  scheme: 'smtp' | 'smtps' = 'smtp',
): Promise<RunningServer> {
  const options = [`--listen=${scheme}://127.0.0.1:0`, '--hostname=mx.example.com', '--log-format=json', ...LIMITS]
  const command = [...scriptCommand(runtime, MAIN[runtime]), 'serve', `--store=${store}`, ...options, ...flags]
  const program = new Program(command, { core: undefined, linesFrom: 2 })
  try {
    for (;;) {
      const { message, addresses } = await program.line<Event>(SERVING_TIMEOUT_MS)
      if (message !== 'serving') continue
      // It logs each message.
      program.mute()
      return { program, port: Number(/:(\d+)\/?$/.exec(addresses?.[0] ?? '')?.[1]) }
    }
  } catch (error) {
    await program.end()
    throw error
  }
}
