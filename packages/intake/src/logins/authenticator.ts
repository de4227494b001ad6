/**
 * Answers AUTH when the login's turn has come: asks the user's own accounts first, then the identities of the configuration. A login
 * with any mechanism that tests a secret waits for its turn, and a failure delays the next one.
 */
import {
  type Accounts,
  type AccountsWith,
  addressKey,
  type AuthAnswer,
  type EndedExchange,
  isReply,
  Refusal,
  type Reply,
  reply,
  type Session,
  type TokenAnswer,
} from '@postern/engine'
import type { Identities } from '../directory/identities.ts'
import type { Attempt, CheckedLogins, LoginRefusal, Logins } from '../login-answer.ts'

/** Who may log in, and how their logins are checked. */
export interface AuthenticatorDeps {
  /** Returns the identities of the configuration. They may change while the server runs. */
  identities(): Identities
  /** The user's own accounts, which are asked first. */
  readonly own: AccountsWith<Session>
  /** Which methods the accounts have that ask `identities`. */
  readonly kinds: {
    readonly password: boolean
    readonly scram: boolean
    readonly secret: boolean
    readonly certificate: boolean
  }
  /** Checks tokens that `own` does not know. */
  readonly checkToken?: Accounts['checkToken']
  /** After this many logins that were not tried, the session is closed. */
  readonly maxFailedAuths: number
  readonly logins: Logins
}

const REFUSALS: Readonly<Record<LoginRefusal, Reply>> = {
  busy: reply(454, '4.7.0', 'Too many logins at once; try again later'),
  delayed: reply(454, '4.7.0', 'Too many failed logins; try again later'),
}
/** Closes the session: the engine counts only logins that were tried. */
const TOO_MANY: Reply = reply(421, '4.7.0', 'Too many logins; try again later')

/** Makes the accounts that the engine's mechanisms ask. */
export function authenticator(deps: AuthenticatorDeps): CheckedLogins {
  const { checkToken, identities, kinds, logins, maxFailedAuths, own } = deps
  /** How many logins of a session were not tried. */
  const untried = new WeakMap<Session, number>()
  const reasons = new WeakMap<Session, LoginRefusal>()
  /** Logins of several steps whose end is not known yet. */
  const open = new WeakMap<Session, Attempt>()

  /** Returns the reply for a login that is not tried. */
  function refused(reason: LoginRefusal, session: Session): Reply {
    reasons.set(session, reason)
    const count = (untried.get(session) ?? 0) + 1
    untried.set(session, count)
    return count >= maxFailedAuths ? TOO_MANY : REFUSALS[reason]
  }

  /** Runs a login of one step. */
  async function tried<T extends AuthAnswer | TokenAnswer>(
    account: string,
    session: Session,
    decide: (attempt: Attempt) => Promise<T | LoginRefusal>,
  ): Promise<T | Reply> {
    const attempt = await logins.begin({ address: addressKey(session.remote), account }, session.signal)
    if (typeof attempt === 'string') return refused(attempt, session)
    let answer: T | LoginRefusal
    let isRight: boolean | undefined
    try {
      answer = await decide(attempt)
      isRight = verdictOf(answer)
    } finally {
      attempt.end(isRight)
    }
    return typeof answer === 'string' ? refused(answer, session) : (answer as T)
  }

  /** Begins a login of several steps. `ended` ends it. @throws Refusal */
  async function begin(account: string, session: Session): Promise<void> {
    const attempt = await logins.begin({ address: addressKey(session.remote), account }, session.signal)
    if (typeof attempt === 'string') throw new Refusal(refused(attempt, session))
    open.get(session)?.end(undefined)
    open.set(session, attempt)
  }

  const accounts: { -readonly [Name in keyof AccountsWith<Session>]: AccountsWith<Session>[Name] } = {}
  if (kinds.password || own.checkPassword !== undefined) {
    accounts.checkPassword = (login, session) =>
      tried(login.username, session, async (attempt) => {
        const answer = await own.checkPassword?.(login, session)
        if (answer !== undefined || !kinds.password) return answer
        const { authorizationId, password, username } = login
        const isRight = await attempt.check({ password, expected: identities().passwordOf(username) })
        if (typeof isRight === 'string') return isRight
        const user = identities().find(username)?.user
        // No user may log in as another one.
        const isSelf = authorizationId === '' || authorizationId === username || authorizationId === user
        return isRight && isSelf && user !== undefined ? { user } : undefined
      })
  }
  if (kinds.scram || own.scramKeys !== undefined) {
    accounts.scramKeys = async (username, hash, session) => {
      await begin(username, session)
      return (
        (await own.scramKeys?.(username, hash, session)) ?? (kinds.scram ? identities().scramKeys(username) : undefined)
      )
    }
  }
  if (kinds.secret || own.sharedSecret !== undefined) {
    accounts.sharedSecret = async (username, session) => {
      await begin(username, session)
      const secret = await own.sharedSecret?.(username, session)
      return secret ?? (kinds.secret ? identities().find(username)?.secret : undefined)
    }
  }
  if (checkToken !== undefined || own.checkToken !== undefined) {
    accounts.checkToken = (token, username, session) =>
      tried(username, session, async () => {
        return (await own.checkToken?.(token, username, session)) ?? (await checkToken?.(token, username))
      })
  }
  if (kinds.certificate || own.certificateUser !== undefined) {
    // There is nothing to guess, so it needs no turn.
    accounts.certificateUser = async (certificate, session) => {
      const answer = await own.certificateUser?.(certificate, session)
      return answer ?? (kinds.certificate ? identities().certificateIdentity(certificate) : undefined)
    }
  }
  return {
    accounts,
    ended({ outcome }: EndedExchange, session) {
      const attempt = open.get(session)
      open.delete(session)
      attempt?.end(outcome === 'given-up' ? undefined : outcome === 'accepted')
    },
    reasonOf(session) {
      const reason = reasons.get(session)
      reasons.delete(session)
      return reason
    },
  }
}

/**
 * Returns true if the login succeeded, false if it failed, and undefined if the answer does not say, because a backend
 * may be down.
 */
function verdictOf(answer: AuthAnswer | TokenAnswer | LoginRefusal): boolean | undefined {
  if (answer === undefined) return false
  if (typeof answer === 'string') return undefined
  if (isReply(answer)) return answer.code >= 500 ? false : undefined
  if ('status' in answer) return false
  return typeof answer.user === 'string' && answer.user !== '' ? true : undefined
}
