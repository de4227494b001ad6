/** Finds the config file and loads it. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { errorText, Failure, unreadable } from '../../host/failure.ts'
import { forbidden } from '../../host/permission.ts'
import { isBinary } from '../../host/runtime.ts'
import { formatQuantity } from '../values/quantity.ts'

const EXAMPLE = "export default { store: 'fs:./mail' }"
const JSON_EXAMPLE = '{ "store": "fs:./mail" }'
const NAMES = ['postern.config.ts', 'postern.config.js', 'postern.config.mjs', 'postern.config.json']
const MAX_BYTES = 1024 * 1024
/** The time that a file has to give its options. A file may ask another service for a secret. */
const TIMEOUT_MS = 30_000

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
 * @throws Failure
 */
export async function readConfigFile(
  path: string | undefined,
  spelled: string,
  env: Readonly<Record<string, string | undefined>>,
  timeoutMs: number = TIMEOUT_MS,
): Promise<ConfigFile | undefined> {
  const found = path ?? NAMES.find((name) => existsSync(resolve(name)))
  if (found === undefined) return undefined
  const text = readText(found, path === undefined ? found : `${spelled} ${found}`)
  const isJson = found.endsWith('.json')
  const example = isJson ? JSON_EXAMPLE : EXAMPLE
  if (text.trim() === '') throw new Failure(`${found}: the file is empty; write: ${example}`)
  const config = isJson ? await parse(found, text) : await inTime(found, evaluated(found, env), timeoutMs)
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

/** Imports a config file, and calls its function if it exports one. Returns a copy, so that a Proxy or a getter is read here only. */
async function evaluated(path: string, env: Readonly<Record<string, string | undefined>>): Promise<unknown> {
  const exported = await load(path)
  try {
    if (typeof exported !== 'function') return copied(exported)
    const { configContext } = await import('./context.ts')
    return copied(await (exported as (context: unknown) => unknown)(configContext(env)))
  } catch (error) {
    throw await failureOf(path, error)
  }
}

async function load(path: string): Promise<unknown> {
  const warnings = muteModuleWarnings()
  try {
    const module: { default?: unknown } = await import(pathToFileURL(resolve(path)).href)
    return module.default
  } catch (error) {
    const hint = warnings.isTakenForCommonJs()
      ? '; name it postern.config.mjs, or set "type": "module" in package.json'
      : ''
    throw await failureOf(path, error, hint)
  } finally {
    warnings.restore()
  }
}

function copied(given: unknown): unknown {
  return typeof given === 'object' && given !== null && !Array.isArray(given) ? { ...given } : given
}

/** Waits for a config file. The timer also keeps the process alive: Node would end without a message. @throws Failure */
async function inTime<T>(path: string, work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const text = `${path}: it did not give its options within ${formatQuantity(timeoutMs, 'time')}; a promise in it does not settle`
    timer = setTimeout(() => reject(new Failure(text)), timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

async function failureOf(path: string, error: unknown, hint: string = ''): Promise<Failure> {
  const { mistakeIn } = await import('./mistake.ts')
  const { text, line, otherFile } = mistakeIn(resolve(path), error)
  const place = otherFile === undefined ? path : `${path}: ${otherFile}`
  return new Failure(`${place}${line === undefined ? '' : `:${line}`}: ${text}${hint || hintFor(text)}`, undefined, {
    cause: error,
  })
}

function hintFor(text: string): string {
  const asFunction = 'export a function, which needs no import: export default ({ reply }) => ({ … })'
  if (/@postern\/engine/.test(text)) return `; ${asFunction}`
  const isMissing = /^(Cannot find (package|module)|Module not found|Import ".*" not a dependency)/.test(text)
  // The name of a module stands in quotes. A path is no package.
  if (!isMissing || /^[./]|^file:/.test(text.split(/['"]/)[1] ?? '')) return ''
  if (isBinary) return `; this program is one file, which finds no packages: leave the import out, or ${asFunction}`
  return '; install it beside the file, or leave the import out'
}

/**
 * Suppresses what Node warns about the kind of a module. A config file needs no package.json. And if a package.json says
 * that it is CommonJS, as that of `npm init` does, then the Failure says so.
 */
function muteModuleWarnings(): { isTakenForCommonJs(): boolean; restore(): void } {
  const { emit, emitWarning } = process
  let isCommonJs = false
  process.emitWarning = ((warning: unknown, ...rest: unknown[]) => {
    const options = rest[0] as { code?: string } | undefined
    if (options?.code === 'MODULE_TYPELESS_PACKAGE_JSON' || rest[1] === 'MODULE_TYPELESS_PACKAGE_JSON') return
    Reflect.apply(emitWarning, process, [warning, ...rest])
  }) as typeof process.emitWarning
  // Node emits this warning itself.
  process.emit = ((event: unknown, ...rest: unknown[]) => {
    const isAboutKind = event === 'warning' && errorText(rest[0]).startsWith('Failed to load the ES module')
    if (!isAboutKind) return Reflect.apply(emit, process, [event, ...rest])
    isCommonJs = true
    return true
  }) as typeof process.emit
  return {
    isTakenForCommonJs: () => isCommonJs,
    restore: () => Object.assign(process, { emit, emitWarning }),
  }
}
