/** The engine's own mechanisms, in the order in which the server offers them: the strongest first. */
import { oauthBearer, xoauth2 } from './bearer.ts'
import { makeCramMd5 } from './cram-md5.ts'
import { external } from './external.ts'
import { login } from './login.ts'
import type { Mechanism, PasswordLogin } from './mechanism.ts'
import { plain } from './plain.ts'
import { makeScram } from './scram.ts'

export type MechanismName =
  | 'EXTERNAL'
  | 'SCRAM-SHA-256-PLUS'
  | 'SCRAM-SHA-256'
  | 'OAUTHBEARER'
  | 'XOAUTH2'
  | 'CRAM-MD5'
  | 'PLAIN'
  | 'LOGIN'

/** The password that a client showed to one of these mechanisms. */
export interface Credentials extends PasswordLogin {
  readonly mechanism: 'PLAIN' | 'LOGIN'
}

export const MECHANISMS: Readonly<Record<MechanismName, Mechanism>> = {
  EXTERNAL: external,
  'SCRAM-SHA-256-PLUS': makeScram({ bindsChannel: true }),
  'SCRAM-SHA-256': makeScram({ bindsChannel: false }),
  OAUTHBEARER: oauthBearer,
  XOAUTH2: xoauth2,
  'CRAM-MD5': makeCramMd5(),
  PLAIN: plain,
  LOGIN: login,
}
