/** Processes that the benchmark starts. Each runs on its own core, and is measured from outside, through /proc. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'
import { pathOf } from '../kit/tool.ts'

/** Servers run on the one core, the load generator on the other. */
export const CORES = { server: 0, load: 1 } as const

/** True if this machine can keep server and load apart. */
export const CAN_PIN: boolean = availableParallelism() > 1 && pathOf('taskset') !== undefined

const MAX_STDERR = 10_000
const living = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})
// So an end by hand leaves nothing running either.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))

/** The resources that a process has used so far. */
export interface Usage {
  /** User and system time of all its threads, those that ended too; in steps of 10 ms. */
  readonly cpuSeconds: number
  /** The time of each existing thread, to the nanosecond. Empty if the kernel does not report it. */
  readonly threads: ReadonlyMap<string, number>
  readonly residentBytes: number
}

export interface StartOptions {
  /** Undefined: any. */
  readonly core: number | undefined
  /** The source of the lines: the standard output, or another descriptor that the program gets. */
  readonly linesFrom?: 1 | 2 | 3
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>
}

export class Program {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #reader: Interface
  readonly #source: Readable
  readonly #gone: Promise<void>
  readonly #name: string
  #stderr = ''

  constructor(command: readonly string[], { core, linesFrom = 1, env }: StartOptions) {
    const pinned = CAN_PIN && core !== undefined ? ['taskset', '-c', String(core), ...command] : command
    const [file, ...args] = pinned as [string, ...string[]]
    this.#name = nameOf(command)
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    this.pid = this.#child.pid ?? 0
    living.add(this.#child)
    this.#gone = new Promise((resolve) => {
      this.#child.once('close', () => {
        living.delete(this.#child)
        resolve()
      })
      this.#child.once('error', (error) => {
        this.#stderr += error.message
        resolve()
      })
    })
    this.#child.stderr
      ?.setEncoding('utf8')
      .on('data', (text: string) => (this.#stderr = (this.#stderr + text).slice(-MAX_STDERR)))
    this.#source = this.#child.stdio[linesFrom] as Readable
    this.#reader = createInterface({ input: this.#source })
    this.#lines = this.#reader[Symbol.asyncIterator]()
  }

  /**
   * Returns the next line of JSON.
   * @throws if the program ends, or writes nothing for this time
   */
  async line<T>(timeoutMs: number): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const silence = new Promise<'silence'>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, 'silence')
    })
    const line = await Promise.race([this.#lines.next(), silence])
    clearTimeout(timer)
    if (line === 'silence') throw new Error(`${this.#name}: silent for ${timeoutMs / 1000} s\n${this.#stderr}`)
    if (line.done === true) throw new Error(`${this.#name}: ended\n${this.#stderr}`)
    if (!line.value.startsWith('{')) throw new Error(`${this.#name}: ${line.value}`)
    return JSON.parse(line.value) as T
  }

  write(line: object): void {
    this.#child.stdin?.write(`${JSON.stringify(line)}\n`)
  }

  usage(): Usage {
    return usageOf(this.pid)
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** How it ended: its exit code or the signal. Undefined while it runs. */
  get ending(): number | NodeJS.Signals | undefined {
    return this.#child.exitCode ?? this.#child.signalCode ?? undefined
  }

  /** Drops all further output, because nobody asks for lines any more, and the program must not wait for that. */
  mute(): void {
    this.#reader.close()
    this.#source.resume()
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Ends the program, and waits until it is gone. */
  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child.kill(signal)
    await this.#gone
    this.#reader.close()
  }
}

/** Names a command for error messages: without local paths, and without flags. */
function nameOf(command: readonly string[]): string {
  return command
    .filter((word) => !word.startsWith('-'))
    .map((word) => basename(word))
    .join(' ')
}

/** Runs a program to its end. @returns what it printed */
export async function printed(command: readonly [string, ...string[]]): Promise<string> {
  const [file, ...args] = command
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  await once(child, 'close')
  return text.trim()
}

/**
 * Returns the CPU time between two measurements, in seconds. It is exact to the nanosecond, unless threads have ended
 * that did a part of the work.
 */
export function cpuBetween(before: Usage, after: Usage): number {
  const whole = after.cpuSeconds - before.cpuSeconds
  let byThread = 0
  for (const [id, cpuSeconds] of after.threads) byThread += cpuSeconds - (before.threads.get(id) ?? 0)
  return Math.abs(whole - byThread) < MAX_ROUNDING_SECONDS ? byThread : whole
}

/** Two times are rounded to a clock tick. The rest is for time that the kernel has not added up yet. */
const MAX_ROUNDING_SECONDS = 0.025
const CLOCK_TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096

function usageOf(pid: number): Usage {
  // The name may contain blanks and brackets. Field 3 of proc(5) is the first one behind it.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  const residentBytes = Number(fields[21]) * PAGE_BYTES
  return { cpuSeconds: ticks / CLOCK_TICKS_PER_SECOND, residentBytes, threads: threadsOf(pid) }
}

function threadsOf(pid: number): Map<string, number> {
  const threads = new Map<string, number>()
  try {
    for (const id of readdirSync(`/proc/${pid}/task`)) {
      const sched = readFileSync(`/proc/${pid}/task/${id}/sched`, 'utf8')
      const milliseconds = /^se\.sum_exec_runtime\s*:\s*([\d.]+)$/m.exec(sched)?.[1]
      if (milliseconds !== undefined) threads.set(id, Number(milliseconds) / 1000)
    }
  } catch {
    // The kernel does not have it, or a thread has ended meanwhile.
  }
  return threads
}
