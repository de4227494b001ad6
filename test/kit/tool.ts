/** Runs programs for tests, always with a time limit. Ends them only by their own pid. */
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

export interface ToolResult {
  /** -1 if a signal ended it. */
  readonly code: number
  readonly stdout: Buffer
  readonly stderr: string
}

export interface ToolOptions {
  readonly input?: string | Uint8Array
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  readonly uid?: number
  readonly timeoutMs?: number
}

const execPath = process.env['npm_execpath'] ?? ''
/** The package manager: the one that runs the tests, or else the newest that npm has at hand. */
export const PNPM: readonly [string, ...string[]] = execPath.endsWith('pnpm')
  ? [execPath]
  : ['npx', '--yes', '--prefer-offline', 'pnpm']

/** Runs a program to its end. */
export function runTool(command: string, args: readonly string[], options: ToolOptions = {}): Promise<ToolResult> {
  const { input, env = process.env, cwd, uid, timeoutMs = 60_000 } = options
  return new Promise((resolve, reject) => {
    const where = { ...(cwd === undefined ? {} : { cwd }), ...(uid === undefined ? {} : { uid }) }
    const child = spawn(command, args, { env, ...where, timeout: timeoutMs })
    const stdout: Buffer[] = []
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code: code ?? -1, stdout: Buffer.concat(stdout), stderr }))
    // A program that ends early need not read its input.
    child.stdin.on('error', () => {})
    child.stdin.end(input ?? '')
  })
}

/** Runs a program that must succeed. @throws with its output if it does not. */
export async function mustRun(command: string, args: readonly string[], options?: ToolOptions): Promise<ToolResult> {
  const result = await runTool(command, args, options)
  if (result.code === 0) return result
  throw new Error(`${command} ${args.join(' ')}: exit ${result.code}\n${result.stdout.toString()}\n${result.stderr}`)
}

/** Returns the path of a program, also of one that only root has in its path. */
export function pathOf(name: string): string | undefined {
  if (isAbsolute(name)) return isExecutable(name) ? name : undefined
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return directories.map((directory) => join(directory, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
