/**
 * Finds out how this program was started, so that the commands that it prints work in the shell of the user.
 *
 * The PATH of this process is not that of the shell: npx, bunx and pnpm put the programs of a project in front of it. And
 * Deno may forbid this process to read PATH at all. So the location of an executable says more than PATH does.
 */
import { existsSync, realpathSync } from 'node:fs'
import { basename, delimiter, dirname, join, relative, resolve } from 'node:path'
import process from 'node:process'
import { isAllowed, variable } from './permission.ts'
import { isBinary, runtimeName } from './runtime.ts'

const PACKAGE = '@postern/server'
const PROGRAM = 'postern'
const BIN_FOLDER = '/node_modules/.bin'
/** Runs a program of the workspace. A machine with npm needs no pnpm of its own. */
const PNPM = 'npx --yes pnpm'

/** Returns the command that starts this program again: `npx postern`, `npx --yes pnpm postern`, `node apps/server/main.js`, … */
export function invocation(): string {
  const entry = process.argv[1] ?? ''
  if (isBinary) return located(process.execPath)
  if (isInstalled(entry)) return installed(entry)
  // A script of the workspace. Plain `node` may be older than the Node of the workspace.
  const script = variable('npm_lifecycle_script') ?? ''
  if (script.includes('main.js') && isRunBy('pnpm')) return `${PNPM} ${PROGRAM}`
  const path = relative(process.cwd(), entry)
  // The permissions to read a store and to write an export. No printed command runs `serve`.
  const rights = runtimeName === 'deno' ? ' run --allow-read --allow-write' : ''
  return `${runtime(`${PNPM} exec`)}${rights} ${quote(path.startsWith('..') ? entry : path)}`
}

/** Returns whether a package manager has started this program. */
function isRunBy(manager: string): boolean {
  return variable('npm_config_user_agent')?.startsWith(`${manager}/`) === true
}

/** Quotes a word for a POSIX shell. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** Returns whether the program is that of the published package. Deno keeps packages outside of node_modules too. */
function isInstalled(entry: string): boolean {
  return basename(entry) === PROGRAM || entry.includes(`/${PACKAGE}/`)
}

function installed(entry: string): string {
  if (runtimeName === 'deno') return `${runtime('npx')} run -A npm:${PACKAGE}`
  if (isOnPath(PROGRAM, entry)) return PROGRAM
  const runner = runtimeName === 'bun' ? 'bunx --bun' : isRunBy('bun') ? 'bunx' : 'npx'
  // Without the package in the project, `npx postern` would download another package, whose name is `postern`.
  return `${runner} ${isInProject() ? PROGRAM : PACKAGE}`
}

/** Returns whether npx and bunx find the program in the working directory or above it. */
function isInProject(): boolean {
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    if (existsSync(join(folder, BIN_FOLDER, PROGRAM))) return true
    if (folder === dirname(folder)) return false
  }
}

/** Returns the command for this runtime. @param runner Runs it if it is a package of the project in the working directory */
function runtime(runner: string): string {
  return isPackageHere(process.execPath) ? `${runner} ${runtimeName}` : located(process.execPath)
}

/** Returns whether a file belongs to a package that is installed in the working directory. */
function isPackageHere(file: string): boolean {
  const packages = resolve('node_modules')
  return [packages, resolved(packages)].some((folder) => folder !== undefined && file.startsWith(`${folder}/`))
}

/** Returns the name of an executable if the shell finds it by that, or else its path. */
function located(file: string): string {
  const name = basename(file)
  // Whoever forbids reading has written the name of the runtime, or its path.
  return !isAllowed({ name: 'read' }) || isOnPath(name, file) ? name : quote(file)
}

/** Returns whether the shell starts `file` by the command `name`. */
function isOnPath(name: string, file: string): boolean {
  const folders = (variable('PATH') ?? '').split(delimiter).filter((folder) => !folder.endsWith(BIN_FOLDER))
  const first = folders.map((folder) => resolved(join(folder, name))).find((path) => path !== undefined)
  return first !== undefined && first === resolved(file)
}

function resolved(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}
