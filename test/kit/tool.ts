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

let pnpm: Promise<string> | undefined

/** Returns the path of the package manager: of the one that runs the tests, or else of the newest that npm has at hand. */
export function findPnpm(): Promise<string> {
  const { npm_execpath: running = '' } = process.env
  pnpm ??= running.endsWith('pnpm') ? Promise.resolve(running) : askNpm()
  return pnpm
}

/** npm waits for other runs of `npx pnpm`, one after another. */
const NPM_TIMEOUT_MS = 300_000

/**
 * Asks npm once, and without the network first. pnpm names packages for some platforms that do not exist, and npm does not cache that. So each
 * `npx pnpm` would ask the registry again.
 */
async function askNpm(): Promise<string> {
  const args = ['--package', 'pnpm', 'sh', '-c', 'command -v pnpm'] as const
  const options = { timeoutMs: NPM_TIMEOUT_MS }
  const offline = await runTool('npx', ['--yes', '--offline', ...args], options)
  const found = offline.code === 0 ? offline : await mustRun('npx', ['--yes', ...args], options)
  return found.stdout.toString().trim()
}
