/** Runs the real program, as a person or a script would. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** The program. */
export const MAIN: string = join(import.meta.dirname, '../main.js')

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
  readonly uid?: number
  /** What runs main.js. Default: this Node. */
  readonly command?: readonly [string, ...string[]]
}

export interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly bytes: Buffer
}

// Tests run concurrently, so what they leave is cleaned up when all of them are done.
const root = mkdtempSync(join(tmpdir(), 'postern-server-'))
const living = new Set<ChildProcess>()

afterAll(async () => {
  const ends = [...living].map((child) => once(child, 'close'))
  for (const child of living) child.kill('SIGKILL')
  await Promise.all(ends)
  rmSync(root, { recursive: true, force: true })
})

/** The environment of a shell that knows nothing of Postern, nor of the package manager that runs the tests. */
export function cleanEnvironment(own: Readonly<Record<string, string>> = {}): Record<string, string> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(POSTERN_|npm_|VITEST|NODE_(?!COMPILE_CACHE)|NO_COLOR|FORCE_COLOR)/.test(name),
  )
  return { ...(Object.fromEntries(inherited) as Record<string, string>), ...own }
}

/** A directory that is gone after the tests. */
export function scratch(): string {
  return mkdtempSync(join(root, 'scratch-'))
}

function started(child: ChildProcessWithoutNullStreams): ChildProcessWithoutNullStreams {
  living.add(child)
  child.on('close', () => living.delete(child))
  return child
}

/** Runs `postern …args` to its end. */
export function postern(args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const [file, ...before] = options.command ?? [process.execPath]
  return run(file, [...before, MAIN, ...args], options)
}

/** Runs any program to its end. */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const child = started(
    spawn(file, args, {
      cwd: options.cwd ?? scratch(),
      env: cleanEnvironment(options.env),
      ...(options.uid === undefined ? {} : { uid: options.uid }),
    }),
  )
  const output = collect(child)
  // A program that ends without reading its input is not this function's business.
  child.stdin.on('error', () => {})
  child.stdin.end(options.input)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout: output.stdout(), stderr: output.stderr(), bytes: output.bytes() }
}

interface Collected {
  stdout(): string
  stderr(): string
  bytes(): Buffer
}

function collect(child: ChildProcess): Collected {
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  return {
    stdout: () => Buffer.concat(stdout).toString('utf8'),
    stderr: () => Buffer.concat(stderr).toString('utf8'),
    bytes: () => Buffer.concat(stdout),
  }
}

/** A `postern serve` that runs until the tests are over, or a signal ends it. */
export interface Running extends Collected {
  readonly child: ChildProcess
  /** Ports in the order of the addresses. */
  readonly ports: readonly number[]
  readonly cwd: string
  signal(name: NodeJS.Signals): void
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>
  /** Waits until both outputs together match. */
  says(pattern: RegExp): Promise<RegExpExecArray>
}

/** Starts `postern serve …args` on a free port and waits until it serves. */
export async function serve(args: readonly string[], options: RunOptions = {}): Promise<Running> {
  const cwd = options.cwd ?? scratch()
  const listens = args.includes('--listen') ? [] : ['--listen', 'smtp://127.0.0.1:0']
  const [file, ...before] = options.command ?? [process.execPath]
  const child = started(
    spawn(file, [...before, MAIN, 'serve', ...listens, ...args], { cwd, env: cleanEnvironment(options.env) }),
  )
  const ended = once(child, 'close').then(([code]) => code as number | null)
  const output = collect(child)
  const says = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(output.stdout() + output.stderr())
        if (match !== null) resolve(match)
      }
      child.stdout.on('data', look)
      child.stderr.on('data', look)
      look()
      void ended.then(() => reject(new Error(`ended without ${pattern}:\n${output.stdout()}${output.stderr()}`)))
    })
  await says(/Stop with Ctrl-C|"message":"serving"/)
  const ports = [...(output.stdout() + output.stderr()).matchAll(/\b(?:smtps?|submissions?):\/\/[^\s:"]+:(\d+)/g)].map(
    (match) => Number(match[1]),
  )
  return { ...output, child, cwd, ports, ended, says, signal: (name) => void child.kill(name) }
}
