/** Standard output: with back-pressure, and without a word when the reader (`| head`) has seen enough. */
import process from 'node:process'
import { errorCode, EXIT } from './failure.ts'
import { safeJson } from './terminal.ts'

/** Writes text or bytes to standard output, and waits where the reader is slower. */
export async function print(chunk: string | Uint8Array): Promise<void> {
  if (process.stdout.write(chunk)) return
  await new Promise((resolve) => process.stdout.once('drain', resolve))
}

/** Writes one line of JSON. */
export function printJson(value: unknown): Promise<void> {
  return print(`${safeJson(value)}\n`)
}

/** From now on, a reader that goes away ends the program quietly. */
export function endWithReader(): void {
  process.stdout.on('error', (error) => {
    if (errorCode(error) === 'EPIPE') process.exit(EXIT.done)
    throw error
  })
}

/** From now on, a reader that goes away is not missed: the program goes on without saying more. */
export function outliveReader(): void {
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
}

/** Says something on standard output; what can't be written is not missed. */
export function tell(text: string): void {
  try {
    process.stdout.write(text)
  } catch {
    // Deno throws at once, and emits nothing.
  }
}

/** Ends the process once everything is written, whatever a config file's hooks still hold open. */
export function leave(code: number): void {
  process.exitCode = code
  process.stderr.write('', () => process.stdout.write('', () => process.exit(code)))
}
