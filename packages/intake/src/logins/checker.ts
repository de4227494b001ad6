/** The program of a check thread. It checks one password after the other, with a lower priority than the threads that receive mail. */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { basename } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { checkPassword, type PasswordCheck } from '../accounts/password.ts'

/** A message of the thread: 'ready' once, then one answer to each check. */
export type CheckerMessage = 'ready' | { readonly isRight: boolean } | { readonly error: string }

/** The start data of the thread. */
export interface CheckerStart {
  /** True if it may lower its priority. */
  readonly maySetPriority: boolean
}

/** With this niceness a thread gets a third of a core if another thread wants all of it. */
const NICENESS = 5

if ((workerData as CheckerStart).maySetPriority) lowerPriority()
parentPort?.on('message', (check: PasswordCheck) => void answer(check).then(say))
say('ready')

async function answer(check: PasswordCheck): Promise<CheckerMessage> {
  try {
    return { isRight: await checkPassword(check) }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

function say(message: CheckerMessage): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage(message)
}

/** Lowers the priority of this thread, so that threads that receive mail run first if cores are busy. Only Linux has a priority for each thread; elsewhere nothing changes. */
function lowerPriority(): void {
  try {
    // 'PID/task/TID'
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), NICENESS)
  } catch {
    // There is no such path, or the process already has a lower priority.
  }
}
