/** Makes the engine's AUTH: the user's own accounts are watched, and the observer is told of each login. */
import type { AccountsWith, AuthOptions, Credentials, Session } from '@postern/engine'
import type { CheckedLogins } from './login-answer.ts'
import type { Observer } from './observe.ts'
import { accountsHook, handlersHook, type HookWatch } from './watch.ts'

/** How clients log in. */
export interface IntakeAuth extends Omit<AuthOptions, 'accounts' | 'authenticate' | 'ended'> {
  /** The user's own `authenticate` hook. */
  readonly authenticate?: AuthOptions['authenticate'] | undefined
  /** The user's own accounts. `authenticate` takes the place of their `checkPassword`. */
  readonly own?: AccountsWith<Session> | undefined
  /** Makes the accounts that mechanisms ask. @param own The user's own accounts; calls of them are watched */
  makeLogins(own: AccountsWith<Session>): CheckedLogins
}

const AUTHENTICATE = handlersHook('authenticate')
const ACCOUNT_METHODS: readonly (keyof AccountsWith<Session>)[] = [
  'checkPassword',
  'scramKeys',
  'sharedSecret',
  'checkToken',
  'certificateUser',
]

/** Makes the engine's AUTH, which tells the observer of each login that succeeds. */
export function authOptions(
  observer: Observer,
  watch: HookWatch,
  { authenticate, own = {}, makeLogins, ...options }: IntakeAuth,
): AuthOptions {
  const { accounts, ended, reasonOf } = makeLogins(watchedAccounts(watch, own, authenticate))
  return {
    ...options,
    accounts: noted(accounts, (mechanism, user, session) => {
      watch.login(session, { user, mechanism })
      watch.waitFor('the password check', session)
    }),
    ended(exchange, session) {
      watch.waitFor(undefined, session)
      ended(exchange, session)
      const { mechanism, outcome, user } = exchange
      const reason = reasonOf(session)
      if (outcome === 'accepted') {
        watch.login(session, undefined)
        observer.loggedIn?.({ user, mechanism }, session)
      } else {
        watch.ended(session, { mechanism, ...(reason !== undefined && { reason }) })
      }
    },
  }
}

/** Makes accounts that ask the user's own, and watch them. */
function watchedAccounts(
  watch: HookWatch,
  own: AccountsWith<Session>,
  authenticate: AuthOptions['authenticate'] | undefined,
): AccountsWith<Session> {
  const watched: Record<string, (...given: never[]) => unknown> = {}
  for (const name of ACCOUNT_METHODS) {
    const method = own[name]?.bind(own) as ((...given: never[]) => unknown) | undefined
    if (method === undefined) continue
    const hook = accountsHook(name)
    watched[name] = (...given) => watch.ask(hook, given.at(-1) as never, () => method(...given))
  }
  if (authenticate === undefined) return watched as AccountsWith<Session>
  return {
    ...(watched as AccountsWith<Session>),
    checkPassword: (login, session) =>
      watch.ask(AUTHENTICATE, session, () => authenticate(login as Credentials, session)),
  }
}

/** Makes accounts that tell of each login as soon as its user is known. */
function noted(
  accounts: AccountsWith<Session>,
  note: (mechanism: string, user: string, session: Session) => void,
): AccountsWith<Session> {
  const { checkPassword, checkToken, scramKeys, sharedSecret } = accounts
  return {
    ...accounts,
    ...(checkPassword && {
      checkPassword(login, session) {
        note(login.mechanism, login.username, session)
        return checkPassword(login, session)
      },
    }),
    ...(scramKeys && {
      scramKeys(username, hash, session) {
        note(`SCRAM-${hash}`, username, session)
        return scramKeys(username, hash, session)
      },
    }),
    ...(sharedSecret && {
      sharedSecret(username, session) {
        note('CRAM-MD5', username, session)
        return sharedSecret(username, session)
      },
    }),
    ...(checkToken && {
      checkToken(token, username, session) {
        note('OAUTHBEARER', username, session)
        return checkToken(token, username, session)
      },
    }),
  }
}
