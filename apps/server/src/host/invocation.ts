/** How this program was called, so that what it prints can be typed as it stands. */
import { realpathSync } from 'node:fs'
import { basename, delimiter, join, relative } from 'node:path'
import process from 'node:process'
import { isAllowed, variable } from './permission.ts'

/** The words that start this program again: `npx --yes pnpm postern`, `postern`, `node apps/server/main.js`, … */
export function invocation(): string {
  const script = variable('npm_lifecycle_script') ?? ''
  const agent = variable('npm_config_user_agent') ?? ''
  const entry = process.argv[1] ?? ''
  // A script of the workspace: plain `node` may be an older one than the workspace's own.
  if (script.includes('main.js') && agent.startsWith('pnpm')) return 'npx --yes pnpm postern'
  if (basename(entry) === 'postern') return 'postern'
  const path = relative(process.cwd(), entry)
  return `${runtime()} ${quote(path.startsWith('..') ? entry : path)}`
}

/** A word as a POSIX shell reads it back. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

function runtime(): string {
  const name = basename(process.execPath)
  const command = isOnPath(name) ? name : quote(process.execPath)
  // What looking into a store and writing out of it takes; `serve` is nowhere called like this.
  return 'deno' in process.versions ? `${command} run --allow-read --allow-write` : command
}

/** Whether typing `name` would start this same executable. */
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
