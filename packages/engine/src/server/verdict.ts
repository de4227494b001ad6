/** Checks the answers of hooks and turns them into replies. */
import { type Reply, reply, toReply } from '../protocol/grammar/reply.ts'
import type { DataVerdict, Verdict } from './handlers.ts'

export function isRefusal(verdict: Verdict): verdict is Reply {
  return verdict !== undefined && verdict.code >= 400
}

/** Adds an enhanced code. RFC 2034 4: after the greeting and EHLO, every reply of 2xx, 4xx and 5xx has one. */
export function enhanced(given: Reply): Reply {
  return given.enhancedCode === '' ? reply(given.code, `${Math.floor(given.code / 100)}.0.0`, given.lines) : given
}

/** Returns the refusal that counts for all recipients: a temporary one if there is one, so that the client tries again. */
export function worstOf(each: readonly Reply[]): Reply {
  return each.find(({ code }) => code >= 400 && code < 500) ?? each.find(isRefusal) ?? (each[0] as Reply)
}

/** Returns the reply that decides whether a message is accepted: it is if one recipient gets it. */
export function decisiveOf(each: readonly Reply[]): Reply {
  return each.find((one) => !isRefusal(one)) ?? worstOf(each)
}

/** Rejects an invalid answer, so that a bug in a hook never accepts mail. @param hook Its name, for the error */
export function checked(verdict: unknown, hook: string): Verdict {
  if (verdict === undefined) return undefined
  const given = toReply(verdict)
  if (given !== undefined && (given.code < 300 || given.code >= 400)) return given
  throw new TypeError(`the hook ${hook} gave an invalid answer: ${explainAnswer(verdict)}`)
}

/**
 * Returns the check of the `data` hook's answer, which may be a list.
 * @param recipients The number of recipients: the list must have a reply for each
 */
export function checkedEach(recipients: number): (verdict: unknown, hook: string) => DataVerdict {
  return (verdict, hook) => {
    if (!Array.isArray(verdict)) return checked(verdict, hook)
    const each: unknown[] = Array.from({ length: recipients }, (_, i) => verdict[i])
    const replies = each.flatMap((one) => checked(one, hook) ?? [])
    if (verdict.length === recipients && replies.length === recipients) return replies
    throw new TypeError(
      `the hook ${hook} gave an invalid answer: the list has ${replies.length} replies for ${recipients} recipients; return one for each`,
    )
  }
}

/** Returns the reply if it refuses. */
export function toRefusal(value: unknown): Reply | undefined {
  const given = toReply(value)
  return given !== undefined && isRefusal(given) ? given : undefined
}

/** Says what is wrong with a hook's answer, and what to return instead. @param valid The answers that are valid */
export function explainAnswer(answer: unknown, valid: string = 'a Reply of 2xx, 4xx or 5xx, or nothing'): string {
  const given = toReply(answer)
  if (given !== undefined) return `it is a Reply of ${given.code}; return ${valid}`
  if (typeof (answer as Partial<Reply> | null)?.code !== 'number') return `return ${valid}`
  return "it is not a valid Reply; return reply(550, '5.7.1', 'No') of @postern/engine, which is handed to a config function"
}
