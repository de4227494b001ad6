/** Programs that run while tests talk to them: started, waited for, and ended by their own pid. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Command } from './commands.ts'
import { within } from './waiting.ts'

/** Longer than any start and any log line takes on a busy machine. */
const WAIT_MS = 100_000
/** How long a program may take to stop by itself. */
const STOP_MS = 40_000
const DISPOSE_MS = 10_000
/** How much of each output is kept. */
const MAX_OUTPUT_LENGTH = 16 * 1_048_576

export interface DaemonOptions {
  readonly cwd?: string
  /** All variables. Default: those of this process. */
  readonly env?: NodeJS.ProcessEnv
  /** The user and group of the process. Default: those of this process. */
  readonly uid?: number
  /** Ends whatever the program has started with it. */
  readonly isGroup?: boolean
  /** Gives the program a standard input that ends when this process is gone, however it went. No key of a terminal reaches the program. */
  readonly isHeld?: boolean
}

const running = new Set<Daemon>()

/** Called by `cleanup.ts`. Tests run concurrently, and one that ran out of time does not end its own. */
export async function endDaemons(): Promise<void> {
  await Promise.all([...running].map((daemon) => daemon[Symbol.asyncDispose]()))
}
process.once('exit', () => {
  for (const daemon of running) daemon.signal('SIGKILL')
})

export class Daemon implements AsyncDisposable {
  readonly child: ChildProcess
  /** The exit code, or the signal that ended it. It comes after all output. */
  readonly ended: Promise<number | NodeJS.Signals>
  /** The output, without its beginning if there is too much. */
  stdout = ''
  stderr = ''
  readonly #name: string
  readonly #isGroup: boolean
  readonly #isHeld: boolean
  #isClosed = false
  #news: PromiseWithResolvers<void> = Promise.withResolvers()

  /** Starts a program, and waits for nothing. */
  constructor(command: Command, { cwd, env, uid, isGroup = false, isHeld = false }: DaemonOptions = {}) {
    const [program, ...args] = command
    this.#name = command.join(' ')
    this.#isGroup = isGroup
    this.#isHeld = isHeld
    const child = spawn(program, args, {
      env: env ?? process.env,
      detached: isGroup || isHeld,
      stdio: [isHeld ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
      ...(uid === undefined ? {} : { uid, gid: uid }),
    })
    this.child = child
    running.add(this)
    child.stdin?.on('error', () => {})
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout = (this.stdout + text).slice(-MAX_OUTPUT_LENGTH)
      this.#tell()
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-MAX_OUTPUT_LENGTH)
      this.#tell()
    })
    child.once('error', (error) => (this.stderr += error.message))
    // What it has started may hold its outputs open.
    if (isGroup) child.once('exit', () => this.signal('SIGKILL'))
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        running.delete(this)
        this.#isClosed = true
        this.#tell()
        resolve(code ?? (signal as NodeJS.Signals))
      })
    })
  }

  /** Starts a program. Resolves once its output matches. @throws with the output if the program ends, or is not ready in time */
  static async start(command: Command, ready: RegExp, options?: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(command, options)
    await daemon.ready(ready)
    return daemon
  }

  /** Waits until the output matches. Kills the program if that fails. */
  async ready(pattern: RegExp): Promise<void> {
    try {
      await this.says(pattern)
    } catch (error) {
      await this.kill()
      throw error
    }
  }

  /** Both outputs, one after the other. */
  get output(): string {
    return this.stdout + this.stderr
  }

  get pid(): number {
    return this.child.pid as number
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** Returns the memory in use now, in bytes. */
  residentBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024
  }

  /** Waits until both outputs together match. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const deadline = Date.now() + WAIT_MS
    for (;;) {
      const match = pattern.exec(this.output)
      if (match !== null) return match
      if (this.#isClosed) throw new Error(`${this.#name}: ended without ${pattern}:\n${this.output}`)
      await within(
        this.#news.promise,
        `${pattern} of ${this.#name}:\n${this.output}`,
        Math.max(0, deadline - Date.now()),
      )
    }
  }

  /** Sends a signal, if the program still runs. SIGKILL also goes to what the program has started, if it has a group. */
  signal(name: NodeJS.Signals): void {
    if (!this.#isGroup || name !== 'SIGKILL') return void this.child.kill(name)
    try {
      process.kill(-this.pid, name)
    } catch {
      // All of them are gone.
    }
  }

  /** Sends a signal and waits for the end. Kills a program that does not stop. @returns the exit code, or the signal that ended it */
  end(name: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.signal(name)
    return this.#gone(STOP_MS)
  }

  /** Ends it at once, as a power cut would. */
  async kill(): Promise<void> {
    await this.end('SIGKILL')
  }

  /** Ends it. A program with a held input may stop by itself first, and so may one that has to stop others. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isHeld) this.child.stdin?.end()
    else this.signal(this.#isGroup ? 'SIGTERM' : 'SIGKILL')
    await this.#gone(DISPOSE_MS)
  }

  async #gone(ms: number): Promise<number | NodeJS.Signals> {
    const late = setTimeout(() => this.signal('SIGKILL'), ms)
    try {
      return await this.ended
    } finally {
      clearTimeout(late)
    }
  }

  #tell(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }
}
