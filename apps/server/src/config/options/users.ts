/** Users, and how they log in. */
import { MECHANISMS, type MechanismName } from '@postern/engine'
import { parseUser, type User } from '@postern/intake/accounts'
import { Failure } from '../../host/failure.ts'
import { list, nonEmpty, oneOf, parsedText } from '../values/schema.ts'
import { type Choice, needs, onOff, type Option, type ValuesOf } from './row.ts'
import type { PolicyRows } from './policy.ts'
import type { WhereRows } from './where.ts'

/** A mechanism that the server can check against `users`. */
export type AuthMechanism = MechanismName

export interface UserRows {
  /** Users who may send: `name:hash`, with a hash from `postern hash`. */
  readonly users: Option<string | readonly string[], readonly User[]>
  /** Refuse mail until AUTH has succeeded, on every address. Default false. */
  readonly authRequired: Option<boolean, boolean>
  /** Offer AUTH also without TLS. Passwords are then sent without encryption. Default false. */
  readonly authWithoutTls: Option<boolean, boolean>
  /** The AUTH mechanisms to offer, in this order. Default: all. */
  readonly authMechanisms: Option<AuthMechanism | readonly AuthMechanism[], readonly AuthMechanism[]>
}

const group = 'Users:'
/** The engine's mechanisms that ask for nothing but a password. The hashes of `users` can answer for no others. */
const AUTH_MECHANISMS: readonly AuthMechanism[] = (Object.keys(MECHANISMS) as AuthMechanism[]).filter((name) =>
  MECHANISMS[name].isSupported({ checkPassword: () => undefined }),
)
const USERS = 'a user who may send: give --users'

export const userRows: UserRows = {
  users: {
    schema: list(parsedText(parseUser, 'name:hash, with a hash that `postern hash` made')),
    byDefault: [],
    help: 'user who may send, as name:hash; `postern hash` makes the hash',
    group,
    value: 'name:hash',
    repeatable: true,
    secret: true,
  },
  authRequired: onOff({ group, help: 'refuse mail until AUTH has succeeded' }),
  authWithoutTls: onOff({ group, help: 'offer AUTH also without TLS: passwords are then sent without encryption' }),
  authMechanisms: {
    schema: nonEmpty(list(oneOf(...AUTH_MECHANISMS))),
    byDefault: AUTH_MECHANISMS,
    help: `AUTH mechanism to offer: ${AUTH_MECHANISMS.join(', ')}`,
    group,
    value: 'name',
    repeatable: true,
  },
}

/** Returns whether anybody can log in. */
export function canAuthenticate({ users, handlers }: ValuesOf<UserRows & Pick<PolicyRows, 'handlers'>>): boolean {
  return users.length > 0 || handlers.authenticate !== undefined
}

/** Checks that user names differ, and that there is a user if AUTH is required. @throws Failure */
export function checkUsers({ options, spelled }: Choice<UserRows & PolicyRows & WhereRows>): void {
  const names = options.users.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined)
    throw new Failure(`${spelled('users')}: ${JSON.stringify(twice)} is listed twice; remove one`)
  if (canAuthenticate(options)) return
  if (options.authRequired) throw needs(spelled('authRequired'), USERS)
  const listen = options.listen.find(({ submission }) => submission)
  if (listen !== undefined) throw needs(`${spelled('listen')} ${listen.url}`, USERS)
}
