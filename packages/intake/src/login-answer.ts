/** The types of an answer to AUTH. */
import type { AuthAnswer, Credentials, Session } from '@postern/engine'

/** Why a login was not tried: too many logins are waiting, or its address has failed too often. */
export type LoginRefusal = 'busy' | 'delayed'

export interface Authenticated {
  readonly answer: AuthAnswer
  /** Why the login was not tried. */
  readonly reason?: LoginRefusal
}

/** Answers AUTH. */
export type Authenticate = (credentials: Credentials, session: Session) => Promise<Authenticated>
