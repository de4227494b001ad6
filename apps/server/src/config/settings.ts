/**
 * Reads the settings: a flag overrides the environment, which overrides the config file, which overrides the default.
 *
 * Every value of every source is checked, even if another source overrides it, so that a mistake is reported at once. An error
 * names the option as the user wrote it: as a flag, as a variable, or as a key of the file.
 */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { variableOf } from '@postern/intake/settings'
import { readConfigFile } from './file/config-file.ts'
import { Failure } from '../host/failure.ts'
import { nearest } from './values/nearest.ts'
import type { Option } from './options/row.ts'
import { OPTION_NAMES, type OptionName, OPTIONS, type Options } from './options.ts'
import { NotAllowed, Mistaken } from './values/schema.ts'

/** The options of the command line, by name: a text, several texts, true or false. */
export type FlagValues = Readonly<Partial<Record<OptionName, unknown>> & { config?: string }>

/** The source of an option's value. */
export type Origin = 'default' | 'file' | 'environment' | 'flag'

/** Every option with its value, and where it came from. */
export interface Settings {
  readonly options: Options
  /** Returns the option's name as the user wrote it, for messages. */
  spelled(name: OptionName): string
  /** Returns where the option's value came from. */
  origin(name: OptionName): Origin
  /** The config file that was read. */
  readonly file: string | undefined
  /** True if the user named the file. Then other commands find it only if they name it too. */
  readonly isFileNamed: boolean
  /** The options of the command line, with which workers read the settings again. */
  readonly flags: FlagValues
}

interface Given {
  readonly value: unknown
  readonly spelled: string
}

const ACCOUNTS_FILE = 'accounts.json'
const DKIM_DIRECTORY = 'dkim'
const CONFIG_VARIABLE = variableOf('config')
/** The password of `postern send --user`. It is no option, because a flag would show it to every user of the machine. */
export const PASSWORD_VARIABLE: string = variableOf('password')
const NO_OPTIONS: readonly string[] = [CONFIG_VARIABLE, PASSWORD_VARIABLE]
/** Every variable with this prefix must be an option. */
const ENV_PREFIX = variableOf('')

/** Reads all sources. @throws Failure that names the option, its value and what is allowed. */
export async function readSettings(
  flags: FlagValues,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Settings> {
  const fromEnv = readEnvironment(env)
  const path = flags.config ?? (env[CONFIG_VARIABLE] || undefined)
  const file = await readConfigFile(path, flags.config === undefined ? CONFIG_VARIABLE : '--config', env)
  const sources = [
    ['file', readFile(file)],
    ['environment', fromEnv],
    ['flag', readFlags(flags)],
  ] as const

  const options: Partial<Record<OptionName, unknown>> = {}
  const spellings = new Map<OptionName, string>()
  const origins = new Map<OptionName, Origin>()
  for (const name of OPTION_NAMES) {
    const option: Option = OPTIONS[name]
    options[name] = option.schema(option.byDefault)
    for (const [origin, source] of sources) {
      const given = source.get(name)
      if (given === undefined) continue
      options[name] = check(option, given)
      spellings.set(name, given.spelled)
      origins.set(name, origin)
    }
  }
  options.accounts ??= existing(accountsBeside(file?.path))
  options.dkim ??= existing(dkimBeside(file?.path))
  // The loop has set every name of the table.
  return {
    options: options as unknown as Options,
    spelled: (name) => spellings.get(name) ?? flagOf(name),
    origin: (name) => origins.get(name) ?? 'default',
    file: file?.path,
    isFileNamed: file !== undefined && path !== undefined,
    flags,
  }
}

function existing(path: string): string | undefined {
  return existsSync(path) ? path : undefined
}

/** Returns the path of the accounts file that belongs to a config file. */
export function accountsBeside(configFile: string | undefined): string {
  return beside(configFile, ACCOUNTS_FILE)
}

/** Returns the path of the directory with keys for DKIM that belongs to a config file. */
export function dkimBeside(configFile: string | undefined): string {
  return beside(configFile, DKIM_DIRECTORY)
}

function beside(configFile: string | undefined, name: string): string {
  return configFile === undefined ? name : join(dirname(configFile), name)
}

/** Returns the flag of an option: `maxMessageBytes` is `--max-message-bytes`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** Returns the names of all environment variables that are options. */
export function variables(): string[] {
  return [CONFIG_VARIABLE, ...OPTION_NAMES.filter((name) => OPTIONS[name].fileOnly !== true).map(variableOf)]
}

function readFlags(flags: FlagValues): Map<OptionName, Given> {
  const given = new Map<OptionName, Given>()
  for (const name of OPTION_NAMES) {
    const value = flags[name]
    if (value !== undefined) given.set(name, { value, spelled: flagOf(name) })
  }
  return given
}

function readEnvironment(env: Readonly<Record<string, string | undefined>>): Map<OptionName, Given> {
  const given = new Map<OptionName, Given>()
  const names = new Map(
    OPTION_NAMES.filter((name) => OPTIONS[name].fileOnly !== true).map((name) => [variableOf(name), name]),
  )
  for (const [variable, value = ''] of Object.entries(env)) {
    if (!variable.startsWith(ENV_PREFIX) || NO_OPTIONS.includes(variable) || isServiceLink(variable, value)) continue
    const name = names.get(variable)
    if (name === undefined) {
      throw new Failure(`${variable}: there is no such option${nearest(variable, [...names.keys()])}`)
    }
    // Compose files and shells set a variable to '' when they mean to omit it.
    if (value.trim() === '') continue
    const isList = OPTIONS[name].repeatable === true
    given.set(name, { value: isList ? value.trim().split(/\s+/) : value, spelled: variable })
  }
  return given
}

/**
 * Returns whether Kubernetes has set this variable, as it does in every pod if a service is called `postern`, `postern-smtp` or the
 * like. No option has such a name. `POSTERN_PORT=2525` is still a mistake, because Kubernetes sets a URL.
 */
function isServiceLink(variable: string, value: string): boolean {
  if (/_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP|SCTP)(_|$)/.test(variable)) return true
  return variable.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value)
}

function readFile(file: { path: string; config: Record<string, unknown> } | undefined): Map<OptionName, Given> {
  const given = new Map<OptionName, Given>()
  if (file === undefined) return given
  const names = new Map<string, OptionName>(OPTION_NAMES.map((name) => [name, name]))
  for (const [key, value] of Object.entries(file.config)) {
    const name = names.get(key)
    if (name === undefined) {
      throw new Failure(`${key} in ${file.path}: there is no such option${nearest(key, OPTION_NAMES)}`)
    }
    if (value !== undefined) given.set(name, { value, spelled: `${key} in ${file.path}` })
  }
  return given
}

function check(option: Option, { value, spelled }: Given): unknown {
  try {
    return option.schema(value)
  } catch (error) {
    if (!(error instanceof NotAllowed)) throw error
    // `handlers in postern.config.ts` becomes `handlers.rcpt in postern.config.ts`.
    const named = spelled.replace(/^\S+/, (key) => key + error.path)
    if (error instanceof Mistaken) throw new Failure(`${named}: ${error.message}`)
    const shown = option.secret === true ? 'the value (not shown)' : describe(error.culprit)
    throw new Failure(`${named}: ${shown} is not ${error.allowed}`)
  }
}

function describe(value: unknown): string {
  if (typeof value === 'string') {
    // The user and password of a URL
    const shown = value.replace(/\/\/[^\s/]*@/g, '//(credentials)@')
    return JSON.stringify(shown.length > 100 ? `${shown.slice(0, 100)}…` : shown)
  }
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) && value.length === 0 ? '[]' : 'an object'
  return String(value)
}
