/** AUTH: asks the user's hook who a client is (RFC 4954). */
import * as replies from '../protocol/grammar/replies.ts'
import { type Reply, isReply } from '../protocol/grammar/reply.ts'
import type { Credentials } from '../protocol/sasl.ts'
import type { Dialogue } from './dialogue.ts'
import { isPromiseLike, isRefusal } from './verdict.ts'

export async function authenticate(dialogue: Dialogue, credentials: Credentials): Promise<void> {
  const { context, hooks, session } = dialogue
  let refusal: Reply
  try {
    const asked = context.options.auth?.authenticate(credentials, session)
    const answer: unknown = isPromiseLike(asked) ? await hooks.bounded(asked, replies.AUTH_UNAVAILABLE) : asked
    const user = (answer as { readonly user?: unknown } | null | undefined)?.user
    // Only a name lets anyone in: neither a reply, whatever its code, nor an answer that was not meant to be one.
    if (typeof user === 'string' && user !== '') {
      session.user = user
      return await dialogue.answer(undefined, replies.AUTHENTICATED)
    }
    if (answer !== undefined && !isReply(answer)) {
      throw new TypeError('authenticate answers with { user }, a Reply or nothing')
    }
    refusal = isRefusal(answer) ? answer : replies.BAD_CREDENTIALS
  } catch (error) {
    refusal = hooks.mishap(error, replies.AUTH_UNAVAILABLE)
  }
  return dialogue.answer(refusal, refusal)
}
