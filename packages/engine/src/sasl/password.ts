/** Shared by the mechanisms that send a password in clear. */
import { isPromiseLike } from '../promise.ts'
import { toReply } from '../protocol/grammar/reply.ts'
import type { Accounts, PasswordLogin, Step } from './mechanism.ts'
import { REFUSED } from './text.ts'

/** Asks the accounts, and turns their answer into a step. */
export function checkPassword(accounts: Accounts, login: PasswordLogin): Step | Promise<Step> {
  const answer: unknown = accounts.checkPassword?.(login)
  return isPromiseLike(answer) ? Promise.resolve(answer).then(stepOf) : stepOf(answer)
}

/**
 * Accepts the login only if the answer has a user name. A reply refuses it, whatever its code, and so does an invalid
 * answer.
 */
function stepOf(answer: unknown): Step {
  const user = userOf(answer)
  if (user !== undefined) return { user }
  if (answer === undefined) return REFUSED
  const given = toReply(answer)
  if (given === undefined) throw new TypeError('authenticate answers with { user }, a Reply or nothing')
  return given.code >= 400 ? { isRefused: true, reply: given } : REFUSED
}

/** Returns the user that accounts named; undefined if they named none. */
export function userOf(answer: unknown): string | undefined {
  const user = (answer as { readonly user?: unknown } | null | undefined)?.user
  return typeof user === 'string' && user !== '' ? user : undefined
}
