/** `postern serve`, the whole program, for sections that measure it and not the engine alone. */
import { join } from 'node:path'
import { Program } from './programs.ts'
import { ROOT, type RunningServer, type Runtime, scriptCommand } from './servers.ts'

export type DaemonRuntime = Exclude<Runtime, 'workerd'>

export const DAEMON_RUNTIMES: readonly DaemonRuntime[] = ['node', 'bun', 'deno']
/** The command that starts each: see the README. */
const MAIN: Readonly<Record<DaemonRuntime, string>> = { node: 'main.js', bun: 'main.ts', deno: 'main.ts' }
const SERVING_TIMEOUT_MS = 20_000
const LIMITS = ['--max-connections=100000', '--max-connections-per-address=100000']

interface Event {
  readonly message?: string
  readonly addresses?: readonly string[]
}

export interface DaemonOptions {
  /** The arguments behind `postern`, without those of the log. */
  readonly args: readonly string[]
  /** The checkout that has the program. Default: this one. */
  readonly checkout?: string
  /** Default: any. */
  readonly core?: number
  /** Besides what this process has. */
  readonly env?: Readonly<Record<string, string>>
}

/** Runs `postern` until it serves. @returns its ports, in the order of the listen URLs */
export async function runDaemon(
  runtime: DaemonRuntime,
  { args, checkout = ROOT, core, env = {} }: DaemonOptions,
): Promise<{ readonly program: Program; readonly ports: readonly number[] }> {
  const command = scriptCommand(runtime, join(checkout, 'apps/server', MAIN[runtime]), checkout)
  const program = new Program([...command, ...args, '--log-format=json'], { core, linesFrom: 2, env })
  try {
    for (;;) {
      const { message, addresses = [] } = await program.line<Event>(SERVING_TIMEOUT_MS)
      if (message !== 'serving') continue
      // It logs each message.
      program.mute()
      return { program, ports: addresses.map((address) => Number(new URL(address).port)) }
    }
  } catch (error) {
    await program.end()
    throw error
  }
}

/** Starts a server that accepts any number of connections. It accepts them when the promise resolves. */
export async function startDaemon(
  runtime: DaemonRuntime,
  store: string,
  flags: readonly string[] = [],
): Promise<RunningServer> {
  const options = ['--listen=smtp://127.0.0.1:0', '--hostname=mx.example.com', ...LIMITS]
  const { program, ports } = await runDaemon(runtime, { args: ['serve', `--store=${store}`, ...options, ...flags] })
  return { program, port: ports[0] as number }
}
