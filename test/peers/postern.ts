/** The real server: `postern serve` in its own process on free ports, and the other commands. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runTool, type ToolResult } from '../kit/tool.ts'

const MAIN = join(import.meta.dirname, '../../apps/server/main.js')
const START_TIMEOUT_MS = 20_000
const STOP_TIMEOUT_MS = 40_000
/** Lines of the log that are kept, to explain a failure. */
const MAX_LOG_LINES = 10_000

/** The scheme of a store that is a directory. */
export type Layout = 'fs' | 'maildir'

/** With Maildirs, each recipient of a test gets a mailbox. */
function storeUrl(store: string, layout: Layout): string {
  return layout === 'maildir' ? `maildir:${store}?create=any` : `${layout}:${store}`
}

export interface ServeOptions {
  /** The directory of the store. '' if the flags or their files name another. */
  readonly store: string
  /** The layout of the mail. Default: fs. */
  readonly layout?: Layout
  /** The user of the process. Default: the user of this process. */
  readonly uid?: number
  /** Variables besides those of this process, without those for the test runner. */
  readonly env?: NodeJS.ProcessEnv
  /** Listen URLs with port 0, in the order of {@link Postern.ports}. */
  readonly listen?: readonly string[]
  readonly flags?: readonly string[]
  /** The command that runs main.js. Default: this Node. */
  readonly command?: readonly [string, ...string[]]
}

/** Running servers. A test that timed out cannot end its own server. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** One event of the log. */
export type LogEvent = Readonly<Record<string, unknown>> & { readonly message: string }

export class Postern {
  readonly store: string
  /** The ports that it listens on, in the order of the listen URLs. */
  readonly ports: number[] = []
  readonly log: LogEvent[] = []
  readonly #process: ChildProcess
  #exited: Promise<number | string> | undefined

  private constructor(store: string, process: ChildProcess) {
    this.store = store
    this.#process = process
    this.#exited = new Promise((resolve) => process.once('exit', (code, signal) => resolve(code ?? signal ?? '')))
  }

  /** Starts the server. It accepts connections when the promise resolves. */
  static async serve(options: ServeOptions): Promise<Postern> {
    const { store, layout = 'fs', listen = ['smtp://127.0.0.1:0'], flags = [], command = [process.execPath] } = options
    const { env, uid } = options
    const [program, ...before] = command
    const args = [
      'serve',
      ...(store === '' ? [] : ['--store', storeUrl(store, layout)]),
      '--hostname',
      'mx.postern.example',
      '--log-format',
      'json',
    ]
    args.push(...listen.flatMap((url) => ['--listen', url]), ...flags)
    const child = spawn(program, [...before, MAIN, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...environment(), ...env },
      ...(uid === undefined ? {} : { uid, gid: uid }),
    })
    running.add(child)
    child.once('exit', () => running.delete(child))
    const server = new Postern(store, child)
    const serving = new Promise<void>((resolve, reject) => {
      let text = ''
      child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (text + chunk).split('\n')
        text = lines.pop() ?? ''
        for (const line of lines) if (server.#note(line)) resolve()
      })
      child.once('error', reject)
      child.once('exit', (code, signal) => reject(new Error(`serve ended (${code ?? signal}):\n${server.logText()}`)))
      setTimeout(() => reject(new Error(`serve says nothing:\n${server.logText()}`)), START_TIMEOUT_MS).unref()
    })
    try {
      await serving
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
    return server
  }

  get port(): number {
    return this.ports[0] as number
  }

  get pid(): number {
    return this.#process.pid as number
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  /** Returns the memory in use now, in bytes. */
  residentBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name)
  }

  /** Sends a signal and waits for the end. @returns the exit code, or the signal that ended it. */
  async end(name: NodeJS.Signals): Promise<number | string> {
    this.signal(name)
    return this.ended()
  }

  /** Waits for the process to end by itself. */
  async ended(): Promise<number | string> {
    const late = setTimeout(() => this.#process.kill('SIGKILL'), STOP_TIMEOUT_MS)
    try {
      return (await this.#exited) as number | string
    } finally {
      clearTimeout(late)
    }
  }

  logText(): string {
    return this.log.map((event) => JSON.stringify(event)).join('\n')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isRunning) await this.end('SIGKILL')
  }

  /** Handles a line of the log. @returns whether it says that the server serves. */
  #note(line: string): boolean {
    const event = parseEvent(line)
    this.log.push(event)
    if (this.log.length > MAX_LOG_LINES) this.log.shift()
    if (event.message !== 'serving') return false
    const addresses = event['addresses'] as string[]
    this.ports.push(...addresses.map((url) => Number(/:(\d+)\/?$/.exec(url)?.[1])))
    return true
  }
}

/** Runs another command of `postern` over a store. */
export function postern(store: string, args: readonly string[], layout: Layout = 'fs'): Promise<ToolResult> {
  const [command = '', ...rest] = args
  return runTool(process.execPath, [MAIN, command, '--store', storeUrl(store, layout), ...rest], { env: environment() })
}

/** Runs a command that needs no store. */
export function posternAlone(args: readonly string[], input: string): Promise<ToolResult> {
  return runTool(process.execPath, [MAIN, ...args], { env: environment(), input })
}

/** Returns the environment without options of the server, and without those that the test runner passes to node. */
export function environment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...rest } = process.env
  return Object.fromEntries(Object.entries(rest).filter(([name]) => !name.startsWith('POSTERN_')))
}

function parseEvent(line: string): LogEvent {
  try {
    return JSON.parse(line) as LogEvent
  } catch {
    return { message: line }
  }
}
