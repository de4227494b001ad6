/** Finds the place of a mistake in a config file. Each runtime reports it in another way. */
import { spawnSync } from 'node:child_process'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { errorCode, errorText } from '../../host/failure.ts'
import { runtimeName } from '../../host/runtime.ts'

/** A mistake, with its line if the runtime reports one. */
export interface Mistake {
  readonly text: string
  readonly line: number | undefined
  /** The file with the mistake, if it is one that the config file imports. */
  readonly otherFile?: string | undefined
}

/** The place of a mistake, in an error of Bun. */
interface BunPosition {
  readonly file: string
  readonly line: number
}

/** The time that Node has to check the syntax of the file again. */
const CHECK_TIMEOUT_MS = 10_000

/** Finds the mistake. @param path The absolute path of the config file, whose import failed with `given` */
export function mistakeIn(path: string, given: unknown): Mistake {
  // Bun puts several mistakes into one error.
  const error: unknown = given instanceof AggregateError ? (given.errors[0] ?? given) : given
  const told = plain(errorText(error))
  const position = (error as { readonly position?: BunPosition | null } | undefined)?.position
  if (position) {
    return { text: told, line: position.line, otherFile: position.file === path ? undefined : position.file }
  }

  const isRuntimes = isSyntaxError(error, told) || errorCode(error) === 'ERR_MODULE_NOT_FOUND'
  const text = isRuntimes ? withoutPlace(told) : told
  const trace = `${told}\n${plain(stackOf(error))}`
  const own = lineAfter(trace, path) ?? lineAfter(trace, pathToFileURL(path).href)
  if (own !== undefined) return { text, line: own }
  if (!isSyntaxError(error, told)) return { text, line: undefined }
  const [, otherFile, line] = /(file:\/\/[^\s:]+):(\d+)/.exec(told) ?? []
  if (line !== undefined) return { text, line: Number(line), otherFile }
  return runtimeName === 'node' ? checkedByNode(path, text) : { text, line: undefined }
}

function stackOf(error: unknown): string {
  const stack = error instanceof Error ? error.stack : undefined
  return typeof stack === 'string' ? stack : ''
}

function isSyntaxError(error: unknown, text: string): boolean {
  return error instanceof SyntaxError || text.startsWith('SyntaxError: ')
}

/** Removes the place from an error of Deno, which quotes the code below the first line, and ends with the place. */
function withoutPlace(text: string): string {
  return (text.split('\n')[0] ?? '').replace(/^SyntaxError: /, '').replace(/ at file:\S+$/, '')
}

function lineAfter(text: string, name: string): number | undefined {
  const at = text.indexOf(`${name}:`)
  const line = at < 0 ? undefined : /^\d+/.exec(text.slice(at + name.length + 1))?.[0]
  return line === undefined ? undefined : Number(line)
}

/** Starts a second Node that checks the syntax, because an error of `import()` has no line. It runs no code of the file. */
function checkedByNode(path: string, text: string): Mistake {
  const { stderr, status } = spawnSync(process.execPath, ['--check', path], {
    encoding: 'utf8',
    timeout: CHECK_TIMEOUT_MS,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  if (status === 0) return { text: `${text}, in a file that it imports`, line: undefined }
  return { text, line: lineAfter(stderr ?? '', path) }
}

/** Removes colours, which Deno puts into messages. */
function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/\u001b\[[\d;]*m/g, '')
}
