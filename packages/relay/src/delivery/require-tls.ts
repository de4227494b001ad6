/** Which servers may not have a message with REQUIRETLS, and what becomes of it if none may: RFC 8689 4.2.1. Pure. */
import type { ClientError } from '@postern/engine/client'
import type { Answer } from './answer.ts'

/** RFC 8689 4.2.1: the server does not offer REQUIRETLS; there is no TLS, or not with the right server. */
type Refusal = '5.7.30' | '5.7.10'

/** The network failed, and not TLS. */
const NETWORK_CODES: readonly string[] = ['ECONNRESET', 'EPIPE', 'ETIMEDOUT']
const MAX_REASON = 200
const MAX_TEXT = 1_000

/** Returns why a server may not have the message; undefined if the failure is of another kind, and another time there may be none. */
export function refusalOf({ reason, enhancedCode, reply, cause }: ClientError): Refusal | undefined {
  if (reason === 'unsupported') return enhancedCode === '5.7.30' ? enhancedCode : undefined
  if (reason !== 'tls') return undefined
  const { code = '' } = (cause ?? {}) as { readonly code?: unknown }
  // With 4xx the server says that it has no TLS now (RFC 3207 4).
  const isLater = reply === undefined ? NETWORK_CODES.includes(String(code)) : reply.code < 500
  return isLater ? undefined : '5.7.10'
}

/** The failures of one attempt with a message that has REQUIRETLS. */
export class RequireTlsFailures {
  /** By host, in the order of the attempt. */
  readonly #reasons = new Map<string, string>()
  readonly #refusals = new Map<string, Refusal>()
  #isTemporary = false
  #enhancedCode = '4.7.10'

  /** Returns whether the host has refused. Its other addresses need not be tried. */
  has(host: string): boolean {
    return this.#refusals.has(host)
  }

  /** @param answer What the failure would mean to another message */
  add(host: string, error: ClientError, answer: Answer): void {
    this.#reasons.set(host, error.message.slice(0, MAX_REASON))
    const refusal = refusalOf(error)
    if (refusal !== undefined) {
      this.#refusals.set(host, refusal)
      return
    }
    this.#isTemporary = true
    this.#enhancedCode = answer.enhancedCode
  }

  /** Says that a host was not tried. */
  leaveOut(): void {
    this.#isTemporary = true
  }

  /** Returns the answer for the recipients: a failure, if every host has refused. */
  answer(): Answer {
    const reasons = [...this.#reasons].map(([host, reason]) => `${host}: ${reason}`).join('; ')
    const refusal = [...this.#refusals.values()].includes('5.7.30') ? '5.7.30' : '5.7.10'
    return {
      isTemporary: this.#isTemporary,
      code: 0,
      enhancedCode: this.#isTemporary ? this.#enhancedCode : refusal,
      text: `REQUIRETLS: no server may have the message: ${reasons}`.slice(0, MAX_TEXT),
      host: '',
    }
  }
}
