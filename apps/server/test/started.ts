/** Starts the real program, for commands that go on until a signal comes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll } from 'vitest'
import { cleanEnvironment, MAIN, type RunOptions, scratch } from './program.ts'

const living = new Set<ChildProcess>()
afterAll(() => {
  for (const child of living) child.kill('SIGKILL')
})

/** A command that goes on until a signal ends it. */
export interface StartedProgram {
  /** Resolves with the standard output once it, or the error output, matches. */
  says(pattern: RegExp): Promise<string>
  stdout(): string
  stderr(): string
  /** Sends SIGTERM, and resolves with the exit code. */
  end(signal?: NodeJS.Signals): Promise<number | null>
}

export function startProgram(
  { cwd, env, command }: Pick<RunOptions, 'cwd' | 'env' | 'command'>,
  ...args: string[]
): StartedProgram {
  const [file, ...before] = command ?? [process.execPath]
  const child = spawn(file, [...before, MAIN, ...args], { cwd: cwd ?? scratch(), env: cleanEnvironment(env) })
  living.add(child)
  const ended = once(child, 'close').then(([code]) => code as number | null)
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  return {
    stdout: () => stdout,
    stderr: () => stderr,
    says: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(stdout + stderr)) resolve(stdout)
        }
        child.stdout.on('data', look)
        child.stderr.on('data', look)
        look()
        void ended.then(() => reject(new Error(`ended without ${pattern}:\n${stdout}${stderr}`)))
      }),
    end(signal = 'SIGTERM') {
      child.kill(signal)
      return ended
    },
  }
}
