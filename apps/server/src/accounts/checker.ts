/** A check thread: it checks one password after the other, and has a lower priority than the threads that serve mail. */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { basename } from 'node:path'
import { parentPort } from 'node:worker_threads'
import { errorText } from '../host/failure.ts'
import { isAllowed } from '../host/permission.ts'
import { checkPassword, type PasswordCheck } from './password.ts'

/** A message of the thread: 'ready' once, then one answer to each check. */
export type CheckerMessage = 'ready' | { readonly isRight: boolean } | { readonly error: string }

/** A third of a core where another thread wants all of it. */
const NICENESS = 5

lowerPriority()
parentPort?.on('message', (check: PasswordCheck) => say(answer(check)))
say('ready')

function answer(check: PasswordCheck): CheckerMessage {
  try {
    return { isRight: checkPassword(check) }
  } catch (error) {
    return { error: errorText(error) }
  }
}

function say(message: CheckerMessage): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage(message)
}

/** Lets the threads that serve mail go first where cores are scarce. Linux alone has a priority for each thread; elsewhere nothing changes. */
function lowerPriority(): void {
  const path = '/proc/thread-self'
  if (!isAllowed({ name: 'read', path }) || !isAllowed({ name: 'sys', kind: 'setPriority' })) return
  try {
    // 'PID/task/TID'
    setPriority(Number(basename(readlinkSync(path))), NICENESS)
  } catch {
    // There is no such path, or the process has a lower priority already.
  }
}
