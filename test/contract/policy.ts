/** A policy for the Worker, as its operator would write it: everybody gets mail, and one user may send. */
import type { AuthOptions } from '@postern/engine'
import { PASSWORD, USER } from '../contracts/wire/user.ts'

export const policy: { auth: AuthOptions } = {
  auth: {
    authenticate: ({ username, password }) => (username === USER && password === PASSWORD ? { user: USER } : undefined),
  },
}
