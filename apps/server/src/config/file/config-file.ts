/** Finds the config file and loads it. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { Failure, unreadable } from '../../host/failure.ts'
import { forbidden } from '../../host/permission.ts'

const EXAMPLE = "export default { store: 'fs:./mail' }"
const JSON_EXAMPLE = '{ "store": "fs:./mail" }'
const NAMES = ['postern.config.ts', 'postern.config.js', 'postern.config.mjs', 'postern.config.json']
const MAX_BYTES = 1024 * 1024

/** The content of a config file, not checked yet. */
export interface ConfigFile {
  /** As the user named it. */
  readonly path: string
  readonly config: Record<string, unknown>
}

/**
 * Loads `path`, or else the config file of the working directory, if there is one.
 *
 * @param spelled The name of the option that gave `path`, for messages
 * @param env For a config file that exports a function
 */
export async function readConfigFile(
  path: string | undefined,
  spelled: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ConfigFile | undefined> {
  const found = path ?? NAMES.find((name) => existsSync(resolve(name)))
  if (found === undefined) return undefined
  const text = readText(found, path === undefined ? found : `${spelled} ${found}`)
  const isJson = found.endsWith('.json')
  const example = isJson ? JSON_EXAMPLE : EXAMPLE
  if (text.trim() === '') throw new Failure(`${found}: the file is empty; write: ${example}`)
  const config = isJson ? await parse(found, text) : await called(found, await load(found), env)
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    const what = isJson ? 'is not an object of options' : 'has no default export of options'
    throw new Failure(`${found}: ${what}; write: ${example}`)
  }
  return { path: found, config: config as Record<string, unknown> }
}

/** Reads the file first, because runtimes differ in their errors if an import can't be read. @throws Failure */
function readText(path: string, named: string): string {
  try {
    // Opening a FIFO would wait for a writer.
    const stats = statSync(resolve(path))
    if (!stats.isFile()) throw new Failure(`${named}: it is not a regular file; name a config file`)
    if (stats.size > MAX_BYTES) throw new Failure(`${named}: it has ${stats.size} bytes, too many for a config file`)
    return decoded(readFileSync(resolve(path)), named)
  } catch (error) {
    if (error instanceof Failure) throw error
    throw forbidden(error) ?? unreadable(named, error)
  }
}

function decoded(bytes: Uint8Array, named: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new Failure(`${named}: it is not UTF-8`, undefined, { cause })
  }
}

async function parse(path: string, text: string): Promise<unknown> {
  try {
    return JSON.parse(text)
  } catch (error) {
    const { jsonMistake } = await import('./json-mistake.ts')
    const { line, allowed } = jsonMistake(text)
    throw new Failure(`${path}:${line}: it is not JSON; there must be ${allowed}`, undefined, { cause: error })
  }
}

async function load(path: string): Promise<unknown> {
  const restore = hushModuleType()
  try {
    const module: { default?: unknown } = await import(pathToFileURL(resolve(path)).href)
    return module.default
  } catch (error) {
    throw await failureOf(path, error)
  } finally {
    restore()
  }
}

/** Calls a config file's function. */
async function called(
  path: string,
  exported: unknown,
  env: Readonly<Record<string, string | undefined>>,
): Promise<unknown> {
  if (typeof exported !== 'function') return exported
  const { configContext } = await import('./context.ts')
  try {
    return await (exported as (context: unknown) => unknown)(configContext(env))
  } catch (error) {
    throw await failureOf(path, error)
  }
}

async function failureOf(path: string, error: unknown): Promise<Failure> {
  const { mistakeIn } = await import('./mistake.ts')
  const { text, line, otherFile } = mistakeIn(resolve(path), error)
  const place = otherFile === undefined ? path : `${path}: ${otherFile}`
  return new Failure(`${place}${line === undefined ? '' : `:${line}`}: ${text}${hintFor(text)}`, undefined, {
    cause: error,
  })
}

function hintFor(text: string): string {
  if (/@postern\/engine/.test(text)) {
    return '; export a function, which needs no import: export default ({ reply }) => ({ … })'
  }
  const isMissing = /^(Cannot find (package|module)|Module not found|Import ".*" not a dependency)/.test(text)
  return isMissing ? '; install it beside the file, or leave the import out' : ''
}

/** Suppresses Node's warning about a .ts module without a `type` in package.json, because a config file needs no package.json. */
function hushModuleType(): () => void {
  const emitWarning = process.emitWarning
  process.emitWarning = ((warning: unknown, ...rest: unknown[]) => {
    const options = rest[0] as { code?: string } | undefined
    if (options?.code === 'MODULE_TYPELESS_PACKAGE_JSON' || rest[1] === 'MODULE_TYPELESS_PACKAGE_JSON') return
    Reflect.apply(emitWarning, process, [warning, ...rest])
  }) as typeof process.emitWarning
  return () => {
    process.emitWarning = emitWarning
  }
}
