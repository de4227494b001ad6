/** Users of the configuration, and their passwords. */
import { parsePasswordHash, type PasswordCheck, type PasswordHash, randomHash } from './password.ts'

/** Someone who may send. */
export interface User {
  readonly name: string
  readonly password: PasswordHash
}

/** Reads `name:hash`; undefined where it is not that. */
export function parseUser(text: string): User | undefined {
  // A hash holds no colon, a name may.
  const at = text.lastIndexOf(':')
  const password = parsePasswordHash(text.slice(at + 1))
  return at < 1 || password === undefined ? undefined : { name: text.slice(0, at), password }
}

/** Names and their hashes. What it gives to check tells nothing of which names there are. */
export class PasswordBook {
  readonly #hashes: ReadonlyMap<string, PasswordHash>
  /** What a name that is not known is checked against: it costs as much as the first one that is. */
  readonly #decoy: PasswordHash

  constructor(users: readonly User[]) {
    this.#hashes = new Map(users.map((user) => [user.name, user.password]))
    this.#decoy = randomHash(users[0]?.password)
  }

  /** Whether there is nobody at all, so that nothing is to be checked. */
  get isEmpty(): boolean {
    return this.#hashes.size === 0
  }

  /** Returns the check for a name. A name that is not known gets one that costs as much, and fails. */
  checkFor(name: string, password: string): PasswordCheck {
    return { password, expected: this.#hashes.get(name) ?? this.#decoy }
  }
}
