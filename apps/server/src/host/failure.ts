/** A failure is what a person can mend: it is shown as one line, never as a stack trace. Anything else that throws is a bug. */

/** What exit codes say to a script. */
export const EXIT = { done: 0, failed: 1, misused: 2 } as const

/** Something that the user can mend: one line on stderr that says what and how, and an exit code. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly exitCode: number
  /** @param exitCode 2 where the command line, a setting or the machine is to be mended; 1 where what was asked for is not there. */
  constructor(message: string, exitCode: number = EXIT.misused, options?: ErrorOptions) {
    super(oneLine(message), options)
    this.exitCode = exitCode
  }
}

/** Joins the lines of a text by blanks. */
export function oneLine(text: string): string {
  return text
    .split(/[\r\n]/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ')
}

/** The code of a system error ('EADDRINUSE'), '' where there is none. */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : ''
}

/** The message of whatever was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
