/** Finds where a config file has its mistake. Each runtime tells that in another way. */
import { spawnSync } from 'node:child_process'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { errorCode, errorText } from '../../host/failure.ts'
import { runtimeName } from '../../host/runtime.ts'

/** What is wrong, and the line of it if the runtime tells. */
export interface Mistake {
  readonly text: string
  readonly line: number | undefined
  /** The file, if it is one that the config file imports. */
  readonly otherFile?: string | undefined
}

/** Where Bun found a mistake. */
interface BunPosition {
  readonly file: string
  readonly line: number
}

/** How long Node may take to check the syntax of the file again. */
const CHECK_TIMEOUT_MS = 10_000

/** @param path The absolute path of the config file, whose import failed with `given` */
export function mistakeIn(path: string, given: unknown): Mistake {
  // Bun collects several mistakes.
  const error: unknown = given instanceof AggregateError ? (given.errors[0] ?? given) : given
  const told = plain(errorText(error))
  const position = (error as { readonly position?: BunPosition | null } | undefined)?.position
  if (position) {
    return { text: told, line: position.line, otherFile: position.file === path ? undefined : position.file }
  }

  const isRuntimes = isSyntaxError(error, told) || errorCode(error) === 'ERR_MODULE_NOT_FOUND'
  const text = isRuntimes ? withoutPlace(told) : told
  const trace = `${told}\n${plain((error as Error | undefined)?.stack ?? '')}`
  const own = lineAfter(trace, path) ?? lineAfter(trace, pathToFileURL(path).href)
  if (own !== undefined) return { text, line: own }
  if (!isSyntaxError(error, told)) return { text, line: undefined }
  const [, otherFile, line] = /(file:\/\/[^\s:]+):(\d+)/.exec(told) ?? []
  if (line !== undefined) return { text, line: Number(line), otherFile }
  return runtimeName === 'node' ? checkedByNode(path, text) : { text, line: undefined }
}

function isSyntaxError(error: unknown, text: string): boolean {
  return error instanceof SyntaxError || text.startsWith('SyntaxError: ')
}

/** Deno's errors quote the code below their first line, and end with the place. */
function withoutPlace(text: string): string {
  return (text.split('\n')[0] ?? '').replace(/^SyntaxError: /, '').replace(/ at file:\S+$/, '')
}

function lineAfter(text: string, name: string): number | undefined {
  const at = text.indexOf(`${name}:`)
  const line = at < 0 ? undefined : /^\d+/.exec(text.slice(at + name.length + 1))?.[0]
  return line === undefined ? undefined : Number(line)
}

/** Asks another Node, because an error of `import()` has no line. It only reads the file and runs nothing. */
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
