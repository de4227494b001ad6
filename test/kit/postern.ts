/** The real program: `postern serve` and `postern front` in their own processes, and the other commands. */
import { join } from 'node:path'
import type { Command } from './commands.ts'
import { Daemon, type DaemonOptions } from './daemon.ts'
import { temporaryDirectory } from './directory.ts'
import { runTool, type ToolOptions } from './tool.ts'

/** The program. */
export const MAIN: string = join(import.meta.dirname, '../../apps/server/main.js')

/** Longer than a command takes on a busy machine. */
const RUN_TIMEOUT_MS = 240_000

/** The scheme of a store that is a directory. */
export type Layout = 'fs' | 'maildir'

export interface RunOptions extends Pick<ToolOptions, 'cwd' | 'input' | 'uid'> {
  /** Variables besides those of {@link cleanEnvironment}. */
  readonly env?: Readonly<Record<string, string>>
  /** The command that runs main.js. Default: this Node. */
  readonly command?: Command
}

export interface Result {
  /** -1 if a signal ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /** The standard output as it came. */
  readonly bytes: Buffer
}

/** One event of the log. */
export type LogEvent = Readonly<Record<string, unknown>> & { readonly message: string }

/** `postern serve` or `postern front` that runs until the tests are over, or a signal ends it. */
export class Postern extends Daemon {
  readonly cwd: string
  #ports: readonly number[] = []

  /** Starts it, and waits for nothing. */
  constructor(args: readonly string[], { command = [process.execPath], cwd, env, uid }: RunOptions = {}) {
    const directory = cwd ?? temporaryDirectory()
    const [program, ...before] = command
    const options: DaemonOptions = { cwd: directory, env: cleanEnvironment(env), ...(uid === undefined ? {} : { uid }) }
    super([program, ...before, MAIN, ...args], options)
    this.cwd = directory
  }

  /** Waits until it serves. */
  async serving(): Promise<this> {
    await this.ready(/Stop with Ctrl-C|"message":"serving".*\n/)
    this.#ports = portsIn(this.output)
    return this
  }

  /** Ports in the order of the addresses. */
  get ports(): readonly number[] {
    return this.#ports
  }

  get port(): number {
    return this.#ports[0] as number
  }

  /** The events of the log, in JSON on the standard error. A line that is no JSON is an event with only a message. */
  get log(): LogEvent[] {
    return this.stderr.split('\n').slice(0, -1).map(parseEvent)
  }
}

/** A server over a directory. */
export class MailServer extends Postern {
  /** The directory of the store. */
  readonly store: string

  constructor(store: string, args: readonly string[], options: RunOptions) {
    super(args, options)
    this.store = store
  }
}

export interface ServeOptions extends RunOptions {
  /** The directory of the store. '' if the flags or their files name another. */
  readonly store: string
  /** The layout of the mail. Default: fs. */
  readonly layout?: Layout
  /** Listen URLs with port 0, in the order of the ports. Default: one of SMTP. */
  readonly listen?: readonly string[]
  readonly flags?: readonly string[]
}

/** Starts `postern serve …args`, by default on one free port, and waits until it serves. */
export function serve(args: readonly string[], options?: RunOptions): Promise<Postern> {
  const listens = args.includes('--listen') ? [] : ['--listen', 'smtp://127.0.0.1:0']
  return new Postern(['serve', ...listens, ...args], options).serving()
}

/** Starts `postern serve` over a directory, with a log in JSON, and waits until it serves. */
export function serveMail(options: ServeOptions): Promise<MailServer> {
  const { store, layout = 'fs', listen = ['smtp://127.0.0.1:0'], flags = [], ...rest } = options
  const where = store === '' ? [] : ['--store', storeUrl(store, layout)]
  const fixed = ['--hostname', 'mx.postern.example', '--log-format', 'json']
  const args = ['serve', ...where, ...fixed, ...listen.flatMap((url) => ['--listen', url]), ...flags]
  // Another user may not be able to enter a directory of this one.
  return new MailServer(store, args, { cwd: process.cwd(), ...rest }).serving()
}

/** Runs `postern …args` to its end. */
export function postern(args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const [program, ...before] = options.command ?? [process.execPath]
  return run(program, [...before, MAIN, ...args], options)
}

/** Runs a command of `postern` over the store in a directory. */
export function posternOver(store: string, args: readonly string[], layout: Layout = 'fs'): Promise<Result> {
  const [command = '', ...rest] = args
  return postern([command, '--store', storeUrl(store, layout), ...rest])
}

/** Runs any program to its end, in a directory and an environment of its own. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const { cwd = temporaryDirectory(), env, input, uid } = options
  const { code, stdout, stderr } = await runTool(program, args, {
    cwd,
    env: cleanEnvironment(env),
    timeoutMs: RUN_TIMEOUT_MS,
    ...(input === undefined ? {} : { input }),
    ...(uid === undefined ? {} : { uid }),
  })
  return { code, stdout: stdout.toString(), stderr, bytes: stdout }
}

/** Returns the environment of a shell that knows nothing of Postern, nor of the package manager that runs the tests. */
export function cleanEnvironment(own: Readonly<Record<string, string>> = {}): Record<string, string> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(POSTERN_|npm_|VITEST|NODE_(?!COMPILE_CACHE|EXTRA_CA_CERTS)|NO_COLOR|FORCE_COLOR)/.test(name),
  )
  return { ...(Object.fromEntries(inherited) as Record<string, string>), ...own }
}

/** With Maildirs, each recipient of a test gets a mailbox. */
function storeUrl(store: string, layout: Layout): string {
  return layout === 'maildir' ? `maildir:${store}?create=any` : `${layout}:${store}`
}

/** Reads the addresses of the log, or of what a person is shown. */
function portsIn(output: string): number[] {
  const logged = /^\{.*"message":"serving".*$/m.exec(output)?.[0]
  const addresses =
    logged === undefined
      ? [...output.matchAll(/\b(?:smtps?|submissions?|lmtp):\/\/[^\s:"]+:\d+/g)].map(([address]) => address)
      : (JSON.parse(logged) as { addresses: string[] }).addresses
  return addresses.flatMap((address) => {
    const port = /:(\d+)(?:\/.*)?$/.exec(address)?.[1]
    return port === undefined ? [] : [Number(port)]
  })
}

function parseEvent(line: string): LogEvent {
  try {
    return JSON.parse(line) as LogEvent
  } catch {
    return { message: line }
  }
}
