/**
 * Writes to standard output, with back-pressure. The program ends quietly if the reader (`| head`) goes away, and with one line if the
 * output can't be written, as on a full disk.
 */
import process from 'node:process'
import { errorCode, errorText, EXIT, oneLine } from './failure.ts'
import { safeJson } from './terminal.ts'

/** Settles when the last write is done. */
let lastWrite: Promise<void> | undefined

/**
 * Writes text or bytes to standard output, and waits for a slow reader. Bytes are free for the caller again once the promise resolves.
 * Ends the program if it can't write.
 */
export async function print(chunk: string | Uint8Array): Promise<void> {
  let goesOn = false
  lastWrite = new Promise((resolve) => {
    try {
      goesOn = process.stdout.write(chunk, (error) => (error ? endWithout(error) : resolve()))
    } catch (error) {
      // Deno throws if the output is a file.
      endWithout(error)
    }
  })
  if (!goesOn || typeof chunk !== 'string') await lastWrite
}

/** Writes one line of JSON. */
export function printJson(value: unknown): Promise<void> {
  return print(`${safeJson(value)}\n`)
}

/** From now on, the program ends quietly if the reader goes away, and with one line if its output can't be written. */
export function endWithReader(): void {
  process.stdout.on('error', endWithout)
  process.stderr.on('error', () => {})
}

/** Ends the program, because its output goes nowhere. */
function endWithout(error: unknown): void {
  if (errorCode(error) === 'EPIPE') process.exit(EXIT.done)
  const isFull = errorCode(error) === 'ENOSPC'
  complain(`standard output: ${isFull ? 'no space is left on the device' : errorText(error)}`)
  process.exit(EXIT.failed)
}

/** Writes a line about a failure to standard error, and ignores errors. */
export function complain(text: string): void {
  try {
    process.stderr.write(`postern: ${oneLine(text)}\n`)
  } catch {
    // Deno throws here and emits no error event. There is nobody else to tell.
  }
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
  // On Bun an empty write may be done before an earlier one.
  void Promise.resolve(lastWrite).then(() =>
    process.stderr.write('', () => process.stdout.write('', () => process.exit(code))),
  )
}
