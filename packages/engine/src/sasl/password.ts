/** Shared by the mechanisms that send a password in clear. */
import { isPromiseLike } from '../promise.ts'
import { toReply } from '../protocol/grammar/reply.ts'
import type { Accounts, PasswordLogin, Step } from './mechanism.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

export const MALFORMED: Step = { isMalformed: true }

/** Decodes a response. Returns undefined if it is not UTF-8. */
export function textOf(response: Uint8Array): string | undefined {
  try {
    return utf8.decode(response)
  } catch {
    return undefined
  }
}

export function challenge(text: string): Step {
  return { challenge: encoder.encode(text) }
}

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
  const user = (answer as { readonly user?: unknown } | null | undefined)?.user
  if (typeof user === 'string' && user !== '') return { user }
  if (answer === undefined) return { isRefused: true }
  const given = toReply(answer)
  if (given === undefined) throw new TypeError('authenticate answers with { user }, a Reply or nothing')
  return given.code >= 400 ? { isRefused: true, reply: given } : { isRefused: true }
}
