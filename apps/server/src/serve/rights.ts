/** The permissions of password checks. */
import { type CheckRights, THREAD_FILES } from '@postern/intake/logins'
import { isAllowed } from '../host/permission.ts'

/** Asks Deno, the only runtime that restricts a program. */
export function checkRights(): CheckRights {
  return {
    mayMakeThreads: isAllowed({ name: 'read', path: THREAD_FILES }),
    maySetPriority:
      isAllowed({ name: 'read', path: '/proc/thread-self' }) && isAllowed({ name: 'sys', kind: 'setPriority' }),
  }
}
