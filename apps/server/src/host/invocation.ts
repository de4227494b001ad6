/** Finds out how this program was called, so that the commands that it prints work. */
import { realpathSync } from 'node:fs'
import { basename, delimiter, join, relative } from 'node:path'
import process from 'node:process'
import { isAllowed, variable } from './permission.ts'

/** Returns the command that starts this program again: `npx --yes pnpm postern`, `postern`, `node apps/server/main.js`, … */
export function invocation(): string {
  const script = variable('npm_lifecycle_script') ?? ''
  const agent = variable('npm_config_user_agent') ?? ''
  const entry = process.argv[1] ?? ''
  // A script of the workspace. Plain `node` may be older than the Node of the workspace.
  if (script.includes('main.js') && agent.startsWith('pnpm')) return 'npx --yes pnpm postern'
  // One file with Bun in it: the program is the executable.
  if (entry.startsWith('/$bunfs/'))
    return isOnPath(basename(process.execPath)) ? basename(process.execPath) : quote(process.execPath)
  if (basename(entry) === 'postern') return 'postern'
  const path = relative(process.cwd(), entry)
  return `${runtime()} ${quote(path.startsWith('..') ? entry : path)}`
}

/** Quotes a word for a POSIX shell. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

function runtime(): string {
  const name = basename(process.execPath)
  const command = isOnPath(name) ? name : quote(process.execPath)
  // The permissions to read a store and to write an export. No printed command runs `serve`.
  return 'deno' in process.versions ? `${command} run --allow-read --allow-write` : command
}

/** Returns whether the command `name` starts this executable. */
function isOnPath(name: string): boolean {
  if (!isAllowed({ name: 'read' })) return true
  const first = (variable('PATH') ?? '').split(delimiter).map((folder) => resolved(join(folder, name)))
  return first.find((path) => path !== undefined) === resolved(process.execPath)
}

function resolved(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}
