/** Writes to standard output, with back-pressure, and ends quietly if the reader (`| head`) goes away. */
import process from 'node:process'
import { errorCode, EXIT } from './failure.ts'
import { safeJson } from './terminal.ts'

/** Writes text or bytes to standard output, and waits for a slow reader. */
export async function print(chunk: string | Uint8Array): Promise<void> {
  if (process.stdout.write(chunk)) return
  await new Promise((resolve) => process.stdout.once('drain', resolve))
}

/** Writes one line of JSON. */
export function printJson(value: unknown): Promise<void> {
  return print(`${safeJson(value)}\n`)
}

/** From now on, the program ends quietly if the reader goes away. */
export function endWithReader(): void {
  process.stdout.on('error', (error) => {
    if (errorCode(error) === 'EPIPE') process.exit(EXIT.done)
    throw error
  })
}

/** From now on, the program goes on without output if the reader goes away. */
export function outliveReader(): void {
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
}

/** Writes to standard output, and ignores errors. */
export function tell(text: string): void {
  try {
    process.stdout.write(text)
  } catch {
    // Deno throws here and emits no error event.
  }
}

/** Ends the process once everything is written, even if hooks of the config file keep something open. */
export function leave(code: number): void {
  process.exitCode = code
  process.stderr.write('', () => process.stdout.write('', () => process.exit(code)))
}
