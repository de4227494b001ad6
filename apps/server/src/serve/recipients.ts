/** Who may be a recipient: whom the user's own hook does not refuse, and who has a place in the store. */
import { type ForwardPath, type Handlers, isReply, type Session, type Verdict } from '@postern/engine'
import { type MailStore, refuseUnknown } from '@postern/storage'

type Later<T> = T | Promise<T>

/**
 * The `rcpt` hook; undefined where nobody has a say. A store that takes mail for all is not asked.
 *
 * @param own The user's
 */
export function recipientHook(own: Handlers['rcpt'], store: MailStore): Handlers['rcpt'] {
  if (store.accepts === undefined) return own
  const unknown = refuseUnknown(store)
  const ask = (verdict: Verdict, to: ForwardPath): Later<Verdict> => {
    if (isReply(verdict) && verdict.code >= 400) return verdict
    return whenThere<Verdict, Verdict>(unknown(to), (refusal) => refusal ?? verdict)
  }
  return (to: ForwardPath, session: Session) =>
    whenThere<Verdict, Verdict>(own?.(to, session), (verdict) => ask(verdict, to))
}

/** Goes on at once where the answer is there, so that a hook that answers at once costs no wait. */
function whenThere<T, U>(answer: Later<T>, then: (answer: T) => Later<U>): Later<U> {
  return answer instanceof Promise ? answer.then(then) : then(answer)
}
