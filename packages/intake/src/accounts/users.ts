/** The users of the option `users`. */
import type { Identity, IdentitySource } from '../directory/identities.ts'
import { parsePassword, type PasswordRecord } from '../directory/record.ts'

/** A user who may send. */
export interface User {
  readonly name: string
  readonly password: PasswordRecord
}

/** Reads `name:record`. Returns undefined if it has another form. */
export function parseUser(text: string): User | undefined {
  // A name may contain a colon, and so may a record of SCRAM.
  const at = Math.max(text.lastIndexOf(':SCRAM-SHA-256$'), text.lastIndexOf(':$'))
  const password = parsePassword(text.slice(at + 1))
  return at < 1 || password === undefined ? undefined : { name: text.slice(0, at), password }
}

/** Makes a source of identities from users. A name must be exactly as it is written. */
export function usersSource(users: readonly User[]): IdentitySource {
  const identities = users.map(({ name, password }): Identity => ({ user: name, password }))
  const byName = new Map(identities.map((identity) => [identity.user, identity]))
  return { identities, identity: (username) => byName.get(username) }
}
