/** What the errors of SQLite mean. Deno tells no error number, so some are known by their text. */
import { isQueueError, QueueError, type QueueErrorCode } from '../error.ts'

/** SQLite's result codes without their extended part, and the text that `sqlite3_errstr` has for each. */
const MEANINGS: readonly (readonly [number, string, QueueErrorCode, string])[] = [
  [5, 'database is locked', 'busy', 'another process writes to it'],
  [11, 'database disk image is malformed', 'corrupt', 'the file is damaged'],
  [13, 'database or disk is full', 'full', 'there is no room'],
  [26, 'file is not a database', 'other-version', 'the file is not a queue of Postern'],
]

/** Returns the error of a queue for an error of SQLite. The message is one line that names the file. */
export function failureOf(error: unknown, path: string): QueueError {
  if (isQueueError(error)) return error
  const { errcode, message } = error as { readonly errcode?: number; readonly message?: string }
  const meaning = MEANINGS.find(([code, text]) =>
    errcode === undefined ? message === text : (errcode & 0xff) === code,
  )
  if (meaning !== undefined) return new QueueError(meaning[2], `the queue ${path}: ${meaning[3]}`, { cause: error })
  return new QueueError('unavailable', `the queue ${path}: ${oneLine(String(message ?? error))}`, { cause: error })
}

export function isBusy(error: unknown, path: string): boolean {
  return failureOf(error, path).code === 'busy'
}

function oneLine(text: string): string {
  return text.slice(0, 300).replaceAll(/[^ -~]/gu, ' ')
}
