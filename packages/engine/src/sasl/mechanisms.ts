/** The engine's own mechanisms, in the order in which the server offers them. */
import { login } from './login.ts'
import type { Mechanism, PasswordLogin } from './mechanism.ts'
import { plain } from './plain.ts'

export type MechanismName = 'PLAIN' | 'LOGIN'

/** The password that a client showed to one of these mechanisms. */
export interface Credentials extends PasswordLogin {
  readonly mechanism: MechanismName
}

export const MECHANISMS: Readonly<Record<MechanismName, Mechanism>> = { PLAIN: plain, LOGIN: login }
