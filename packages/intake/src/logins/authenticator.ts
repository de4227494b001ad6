/** Answers AUTH when the login's turn has come: it asks the user's own hook first, then the users of the configuration. */
import {
  addressKey,
  type AuthAnswer,
  type AuthOptions,
  type Credentials,
  isReply,
  type Reply,
  reply,
  type Session,
} from '@postern/engine'
import type { Authenticate, Authenticated, LoginRefusal } from '../login-answer.ts'
import type { Attempt, Logins } from './logins.ts'
import { PasswordBook, type User } from '../accounts/users.ts'

/** The users of a server, and how their logins are checked. */
export interface AuthenticatorDeps {
  readonly users: readonly User[]
  /** The user's own hook, which is asked first. */
  readonly handlers: Partial<Pick<AuthOptions, 'authenticate'>>
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

/** Makes the function that answers AUTH. */
export function authenticator({ users, handlers, maxFailedAuths, logins }: AuthenticatorDeps): Authenticate {
  const book = new PasswordBook(users)
  /** How many logins of a session were not tried. */
  const untried = new WeakMap<Session, number>()

  function refused(reason: LoginRefusal, session: Session): Authenticated {
    const count = (untried.get(session) ?? 0) + 1
    untried.set(session, count)
    return { answer: count >= maxFailedAuths ? TOO_MANY : REFUSALS[reason], reason }
  }

  async function decide(
    credentials: Credentials,
    session: Session,
    attempt: Attempt,
  ): Promise<AuthAnswer | LoginRefusal> {
    const own = await handlers.authenticate?.(credentials, session)
    if (own !== undefined) return own
    if (book.isEmpty) return undefined
    const { username, password, authorizationId } = credentials
    const isRight = await attempt.check(book.checkFor(username, password))
    if (typeof isRight === 'string') return isRight
    // No user may log in as another one.
    const isSelf = authorizationId === '' || authorizationId === username
    return isRight && isSelf ? { user: username } : undefined
  }

  return async (credentials, session) => {
    const login = { address: addressKey(session.remote), account: credentials.username }
    const attempt = await logins.begin(login, session.signal)
    if (typeof attempt === 'string') return refused(attempt, session)
    let answer: AuthAnswer | LoginRefusal
    let isRight: boolean | undefined
    try {
      answer = await decide(credentials, session, attempt)
      isRight = verdictOf(answer)
    } finally {
      attempt.end(isRight)
    }
    return typeof answer === 'string' ? refused(answer, session) : { answer }
  }
}

/**
 * Returns true if the login succeeded, false if it failed, and undefined if the answer does not say, because a backend
 * may be down.
 */
function verdictOf(answer: AuthAnswer | LoginRefusal): boolean | undefined {
  if (answer === undefined) return false
  if (typeof answer === 'string') return undefined
  if (isReply(answer)) return answer.code >= 500 ? false : undefined
  return typeof answer.user === 'string' && answer.user !== '' ? true : undefined
}
