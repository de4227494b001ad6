/** A check thread: it checks one password after the other, and has a lower priority than the threads that serve mail. */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { basename } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { checkPassword, type PasswordCheck } from '../accounts/password.ts'

/** A message of the thread: 'ready' once, then one answer to each check. */
export type CheckerMessage = 'ready' | { readonly isRight: boolean } | { readonly error: string }

/** What the thread is told when it is made. */
export interface CheckerStart {
  /** Whether it may lower its priority. */
  readonly maySetPriority: boolean
}

/** A third of a core where another thread wants all of it. */
const NICENESS = 5

if ((workerData as CheckerStart).maySetPriority) lowerPriority()
parentPort?.on('message', (check: PasswordCheck) => say(answer(check)))
say('ready')

function answer(check: PasswordCheck): CheckerMessage {
  try {
    return { isRight: checkPassword(check) }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

function say(message: CheckerMessage): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage(message)
}

/** Lets the threads that serve mail go first where cores are scarce. Linux alone has a priority for each thread; elsewhere nothing changes. */
function lowerPriority(): void {
  try {
    // 'PID/task/TID'
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), NICENESS)
  } catch {
    // There is no such path, or the process has a lower priority already.
  }
}
