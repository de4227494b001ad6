/** The users of the configuration, and checks of their passwords. */
import { parsePasswordHash, type PasswordCheck, type PasswordHash, randomHash } from './password.ts'

/** A user who may send. */
export interface User {
  readonly name: string
  readonly password: PasswordHash
}

/** Reads `name:hash`. Returns undefined if it has another form. */
export function parseUser(text: string): User | undefined {
  // A name may contain a colon, a hash cannot.
  const at = text.lastIndexOf(':')
  const password = parsePasswordHash(text.slice(at + 1))
  return at < 1 || password === undefined ? undefined : { name: text.slice(0, at), password }
}

/** Names and their hashes. Its checks do not reveal which names exist. */
export class PasswordBook {
  readonly #hashes: ReadonlyMap<string, PasswordHash>
  /** The hash for unknown names. Its check costs as much as the first user's. */
  readonly #decoy: PasswordHash

  constructor(users: readonly User[]) {
    this.#hashes = new Map(users.map((user) => [user.name, user.password]))
    this.#decoy = randomHash(users[0]?.password)
  }

  /** True if there are no users, so that no check is needed. */
  get isEmpty(): boolean {
    return this.#hashes.size === 0
  }

  /** Returns the check for a name. For an unknown name the check costs as much, and fails. */
  checkFor(name: string, password: string): PasswordCheck {
    return { password, expected: this.#hashes.get(name) ?? this.#decoy }
  }
}
