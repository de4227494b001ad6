/** The types of logins that are checked. */
import type { AccountsWith, AuthOptions, Session } from '@postern/engine'
import type { PasswordCheck } from './directory/record.ts'

/** Why a login was not tried: too many logins are waiting, or its address has failed too often. */
export type LoginRefusal = 'busy' | 'delayed'

/** An attempt to log in. */
export interface Login {
  /** As the engine's `addressKey` returns it. It is '' if there is no address, as on a Unix socket. */
  readonly address: string
  /** The name as the client sent it. The user need not exist. */
  readonly account: string
}

/** A login whose turn has come. The caller calls `end` once. */
export interface Attempt {
  /** Returns whether the password is right, or 'busy' if the check had to wait too long. @throws if it could not be checked */
  check(check: PasswordCheck): Promise<boolean | LoginRefusal>
  /**
   * Ends the turn.
   * @param isRight True if the login succeeded; undefined if the result is unknown, which does not count as a failure
   */
  end(isRight: boolean | undefined): void
}

export interface Logins {
  /** Waits for the turn of a login. @param signal Aborted when nobody waits for the result any more */
  begin(login: Login, signal: AbortSignal): Promise<Attempt | LoginRefusal>
}

/** Accounts whose logins wait for their turn. */
export interface CheckedLogins {
  readonly accounts: AccountsWith<Session>
  /** Must be told how each exchange ends. */
  readonly ended: NonNullable<AuthOptions['ended']>
  /** Returns why the last login of a session was not tried, once. */
  reasonOf(session: Session): LoginRefusal | undefined
}
