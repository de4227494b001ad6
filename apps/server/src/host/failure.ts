/** Failures that a person can fix: they are shown as one line, never with a stack. Any other error is a bug. */

/** The exit codes of `postern`. */
export const EXIT = { done: 0, failed: 1, misused: 2 } as const

/** An error that the user can fix: one line on stderr that says what is wrong and what to do, and an exit code. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly exitCode: number
  /** @param exitCode 2 if the user must change the command line, a setting or the machine; 1 if something is missing or failed */
  constructor(message: string, exitCode: number = EXIT.misused, options?: ErrorOptions) {
    super(oneLine(message), options)
    this.exitCode = exitCode
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of its path is not a directory',
  EACCES: 'this user may not read it',
  EPERM: 'this user may not read it',
  EISDIR: 'it is a directory',
  ELOOP: 'it is a link to itself',
  ENAMETOOLONG: 'the path is too long',
}

/**
 * Makes the failure of a file that can't be read.
 *
 * @param named The option and the path, for the message
 * @param advice What to do if there is no such file
 */
export function unreadable(named: string, error: unknown, advice: string = ''): Failure {
  const code = errorCode(error)
  const more = code === 'ENOENT' && advice !== '' ? `; ${advice}` : ''
  return new Failure(`${named}: ${REASONS[code] ?? errorText(error)}${more}`, undefined, { cause: error })
}

/** Joins the lines of a text with blanks. */
export function oneLine(text: string): string {
  return text
    .split(/[\r\n]/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ')
}

/** Returns the code of a system error ('EADDRINUSE'), or '' if there is none. */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : ''
}

/** Returns the message of an error, or any other thrown value as text. Never throws, although a user's code may throw any object. */
export function errorText(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error)
  } catch {
    return 'an error without a text'
  }
}
