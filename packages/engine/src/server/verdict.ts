/** Checks the answers of hooks and turns them into replies. */
import { type Reply, isReply, reply } from '../protocol/grammar/reply.ts'
import type { Verdict } from './handlers.ts'

export function isRefusal(verdict: Verdict): verdict is Reply {
  return verdict !== undefined && verdict.code >= 400
}

/** Adds an enhanced code. RFC 2034 4: after the greeting and EHLO, every reply of 2xx, 4xx and 5xx has one. */
export function enhanced(given: Reply): Reply {
  return given.enhancedCode === '' ? reply(given.code, `${Math.floor(given.code / 100)}.0.0`, given.lines) : given
}

/** Rejects an invalid answer, so that a bug in a hook never accepts mail. */
export function checked(verdict: unknown): Verdict {
  if (verdict === undefined) return undefined
  if (isReply(verdict) && (verdict.code < 300 || verdict.code >= 400)) return verdict
  throw new TypeError('a hook answers with nothing or with a Reply of 2xx, 4xx or 5xx')
}
