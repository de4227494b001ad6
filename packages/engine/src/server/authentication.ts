/** Handles AUTH: runs the mechanism, and answers the client (RFC 4954). */
import { isPromiseLike } from '../promise.ts'
import * as replies from '../protocol/grammar/replies.ts'
import type { EventOf } from '../protocol/server/event.ts'
import type { Step } from '../sasl/mechanism.ts'
import type { Dialogue, OpenExchange } from './dialogue.ts'
import { accountsOf } from './options.ts'
import { toRefusal } from './verdict.ts'

/** Gives the client's response to the mechanism. Then continues the exchange or ends it. */
export async function authenticate(dialogue: Dialogue, event: EventOf<'auth' | 'auth-response'>): Promise<void> {
  const { hooks } = dialogue
  let step: Step
  try {
    if (event.type === 'auth') dialogue.exchange = begin(dialogue, event.mechanism)
    const asked = dialogue.exchange?.exchange.next(event.response)
    // The answer is a reply if the mechanism was late.
    const answer = isPromiseLike(asked) ? await hooks.bounded(asked, replies.AUTH_UNAVAILABLE) : asked
    step = answer === replies.AUTH_UNAVAILABLE ? { isRefused: true, reply: replies.AUTH_UNAVAILABLE } : checked(answer)
  } catch (error) {
    step = { isRefused: true, reply: hooks.mishap(error, replies.AUTH_UNAVAILABLE) }
  }
  await take(dialogue, step)
}

function begin({ context, session, wire }: Dialogue, mechanism: string): OpenExchange | undefined {
  const { auth = {}, hostname } = context.options
  const { channelBinding } = wire.duplex
  const certificate = session.tls?.peerCertificate
  const offered = [...context.mechanisms.values()]
  const exchange = context.mechanisms.get(mechanism)?.start(accountsOf(auth, session), {
    hostname,
    ...(certificate && { certificate }),
    ...(channelBinding && { channelBinding }),
    offersChannelBinding: channelBinding !== undefined && offered.some(({ needs }) => needs === 'channel-binding'),
  })
  return exchange && { exchange, mechanism, challengeCount: 0 }
}

/** Rejects an invalid step, so that a bug in a mechanism never lets a client in. */
function checked(step: unknown): Step {
  const { challenge, user, isRefused, isMalformed, reply } = (step ?? {}) as Partial<Record<string, unknown>>
  if (challenge instanceof Uint8Array) return { challenge }
  if (typeof user === 'string' && user !== '') return { user }
  if (isMalformed === true) return { isMalformed }
  const refusal = toRefusal(reply)
  if (isRefused === true && refusal !== undefined) return { isRefused, reply: refusal }
  if (isRefused === true && reply === undefined) return { isRefused }
  throw new TypeError('a mechanism answers with a challenge, a user, isRefused or isMalformed')
}

function take(dialogue: Dialogue, step: Step): void | Promise<void> {
  if ('challenge' in step) return challenge(dialogue, step.challenge)
  if ('user' in step) {
    dialogue.session.user = step.user
    dialogue.endExchange('accepted', step.user)
    return dialogue.answer(undefined, replies.AUTHENTICATED)
  }
  if ('isMalformed' in step) {
    dialogue.endExchange('given-up')
    return dialogue.answer(undefined, replies.BAD_RESPONSE)
  }
  const { reply = replies.BAD_CREDENTIALS } = step
  // 4xx does not say whether the login was right.
  dialogue.endExchange(reply.code < 500 ? 'given-up' : 'refused')
  return dialogue.answer(reply, reply)
}

/** Sends a challenge, or refuses the login after too many of them: with some mechanisms the client decides how many there are. */
function challenge(dialogue: Dialogue, octets: Uint8Array): void | Promise<void> {
  const { context, exchange, protocol, wire } = dialogue
  if (exchange === undefined || ++exchange.challengeCount > context.limits.maxAuthChallenges) {
    dialogue.endExchange('given-up')
    return dialogue.answer(undefined, replies.TOO_MANY_CHALLENGES)
  }
  protocol.challenge(octets)
  return wire.flushIfLong()
}
