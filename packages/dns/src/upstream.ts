/** A server that answers queries: over UDP and TCP in `sockets/`, over HTTPS in `https.ts`. */
import type { Failed } from './answer.ts'
import type { Message, Question } from './message/codec.ts'

export interface Upstream {
  /** For messages: `udp://127.0.0.1:53`. */
  readonly url: string
  /**
   * Asks once. Never rejects.
   *
   * @returns its answer, or why there is none. An answer's question is the one that was asked
   */
  ask(question: Question, options: AskOptions): Promise<Reply>
}

/** Servers, and how they are asked. */
export interface Servers {
  /** In the order in which they are asked. The next is asked if one fails. They must ask others for their clients. */
  readonly upstreams: readonly Upstream[]
  /** How often each server that does not answer is asked. Default 2. */
  readonly attempts?: number | undefined
  /** How long one server may take. Default 3,000. */
  readonly attemptTimeoutMs?: number | undefined
}

export interface AskOptions {
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
  readonly timeoutMs: number
  /** Ask for the signatures of DNSSEC too. */
  readonly isSigned: boolean
  /** Ask with EDNS (RFC 6891). A server that refuses it is asked without it. */
  readonly isExtended: boolean
  /** Called for each answer that is ignored, because it does not belong to the query: somebody may have forged it. */
  ignored(): void
}

export type Reply = { readonly status: 'answered'; readonly message: Message; readonly ageSeconds: number } | Failed
