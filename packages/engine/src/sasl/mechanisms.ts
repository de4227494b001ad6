/** The mechanisms that the engine has, in the order in which they are on offer. */
import { login } from './login.ts'
import type { Mechanism, PasswordLogin } from './mechanism.ts'
import { plain } from './plain.ts'

export type MechanismName = 'PLAIN' | 'LOGIN'

/** What a client showed to one of them. */
export interface Credentials extends PasswordLogin {
  readonly mechanism: MechanismName
}

export const MECHANISMS: Readonly<Record<MechanismName, Mechanism>> = { PLAIN: plain, LOGIN: login }
