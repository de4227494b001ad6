/** Programs that serve while tests talk to them: started, waited for, and ended by their own pid. */
import { type ChildProcess, spawn } from 'node:child_process'

const START_TIMEOUT_MS = 40_000
const STOP_TIMEOUT_MS = 5_000

/** Those that run. A test that ran out of time does not get to end its own. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) endGroup(child, 'SIGKILL')
})

export class Running implements AsyncDisposable {
  /** All it said. */
  text = ''
  readonly #child: ChildProcess
  /** Null: a signal ended it. */
  readonly exitCode: Promise<number | null>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.exitCode = new Promise((resolve) => child.once('exit', resolve))
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => (this.text += chunk))
    }
  }

  /** Starts a program; what it has started itself ends with it. Resolves once it has said `ready`. */
  static async start(command: readonly [string, ...string[]], ready: RegExp, env: NodeJS.ProcessEnv): Promise<Running> {
    const [program, ...args] = command
    const child = spawn(program, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    child.once('exit', () => running.delete(child))
    const started = new Running(child)
    const deadline = Date.now() + START_TIMEOUT_MS
    while (!ready.test(started.text)) {
      if (child.exitCode !== null || Date.now() > deadline) {
        endGroup(child, 'SIGKILL')
        throw new Error(`${command.join(' ')} did not start:\n${started.text}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return started
  }

  get pid(): number {
    return this.#child.pid as number
  }

  /** Ends it at once, with whatever it has started, as a power cut would. */
  async kill(): Promise<void> {
    endGroup(this.#child, 'SIGKILL')
    await this.exitCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM')
    const late = setTimeout(() => endGroup(this.#child, 'SIGKILL'), STOP_TIMEOUT_MS)
    await this.exitCode
    clearTimeout(late)
    endGroup(this.#child, 'SIGKILL')
  }
}

function endGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {
    // It is gone.
  }
}
