/** Finds `postern.config.ts` and loads it. */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { errorCode, errorText, Failure } from '../host/failure.ts'

const EXAMPLE = "export default { store: 'fs:./mail' }"
const NAMES = ['postern.config.ts', 'postern.config.js', 'postern.config.mjs']

/** The content of a config file, not checked yet. */
export interface ConfigFile {
  /** As the user named it. */
  readonly path: string
  readonly config: Record<string, unknown>
}

/**
 * Loads `path`, or else the config file of the working directory, if there is one.
 *
 * @param spelled Where `path` came from, for messages.
 */
export async function readConfigFile(path: string | undefined, spelled: string): Promise<ConfigFile | undefined> {
  const found = path ?? NAMES.find((name) => existsSync(resolve(name)))
  if (found === undefined) return undefined
  const stats = statSync(resolve(found), { throwIfNoEntry: false })
  if (stats === undefined) throw new Failure(`${spelled} ${found}: there is no such file`)
  if (!stats.isFile()) throw new Failure(`${spelled} ${found}: it is not a regular file; name a config file`)
  if (stats.size === 0) throw new Failure(`${found}: the file is empty; write: ${EXAMPLE}`)
  const config: unknown = await load(found)
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new Failure(`${found}: has no default export of options; write: ${EXAMPLE}`)
  }
  return { path: found, config: config as Record<string, unknown> }
}

async function load(path: string): Promise<unknown> {
  const restore = hushModuleType()
  try {
    const module: { default?: unknown } = await import(pathToFileURL(resolve(path)).href)
    return module.default
  } catch (error) {
    if (!isReadable(path)) throw new Failure(`${path}: this user may not read it`, undefined, { cause: error })
    const hint = errorCode(error) === 'ERR_MODULE_NOT_FOUND' ? '; install it beside the file, or remove the import' : ''
    throw new Failure(`${path}: ${errorText(error)}${hint}`, undefined, { cause: error })
  } finally {
    restore()
  }
}

function isReadable(path: string): boolean {
  try {
    accessSync(resolve(path), constants.R_OK)
    return true
  } catch {
    return false
  }
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
