/** The types of logins that are checked. */
import type { AccountsWith, AuthOptions, Session } from '@postern/engine'

/** Why a login was not tried: too many logins are waiting, or its address has failed too often. */
export type LoginRefusal = 'busy' | 'delayed'

/** Accounts whose logins wait for their turn. */
export interface CheckedLogins {
  readonly accounts: AccountsWith<Session>
  /** Must be told how each exchange ends. */
  readonly ended: NonNullable<AuthOptions['ended']>
  /** Returns why the last login of a session was not tried, once. */
  reasonOf(session: Session): LoginRefusal | undefined
}
