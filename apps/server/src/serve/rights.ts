/** What checking passwords may do here. */
import { type CheckRights, THREAD_FILES } from '@postern/intake/logins'
import { isAllowed } from '../host/permission.ts'

/** Asks Deno, which alone keeps a program to what it was allowed. */
export function checkRights(): CheckRights {
  return {
    mayMakeThreads: isAllowed({ name: 'read', path: THREAD_FILES }),
    maySetPriority:
      isAllowed({ name: 'read', path: '/proc/thread-self' }) && isAllowed({ name: 'sys', kind: 'setPriority' }),
  }
}
