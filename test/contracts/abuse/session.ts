/** A session as data: the steps of a client, which can be changed, played, and printed. */

/** A change of octets. A position counts from the beginning, modulo the length of what is changed. */
export type Edit =
  | { readonly edit: 'flip'; readonly at: number; readonly mask: number }
  | { readonly edit: 'insert'; readonly at: number; readonly octets: string }
  | { readonly edit: 'replace'; readonly at: number; readonly octets: string }
  | { readonly edit: 'delete'; readonly at: number; readonly length: number }
  | { readonly edit: 'double'; readonly at: number; readonly length: number }

/** Octets are text with one character for each octet (Latin-1). */
export type Step =
  /** Writes octets: at once, or `by` so many at a time. */
  | { readonly do: 'send'; readonly octets: string; readonly by?: number }
  /** Waits until the server has used up what was sent, and waits for more. */
  | { readonly do: 'wait' }
  /** Responds to the last challenge of the server. */
  | { readonly do: 'respond'; readonly how: 'CRAM-MD5' | 'SCRAM'; readonly edits: readonly Edit[] }
  /** Makes the TLS handshake, if the server is ready for it. */
  | { readonly do: 'tls' }
  /** Lets the server run for a turn of the event loop. */
  | { readonly do: 'pause' }
  /** Waits until the server ends the session. */
  | { readonly do: 'idle' }
  /** Stops reading. */
  | { readonly do: 'deaf' }
  /** Ends the client's direction. */
  | { readonly do: 'end' }
  | { readonly do: 'reset' }

/** What a server offers, and how it reads. */
export interface Manner {
  readonly protocol: 'smtp' | 'lmtp'
  readonly addresses: 'strict' | 'lenient'
  readonly bareLineEndings: 'reject' | 'preserve'
  readonly authRequired: boolean
  /** The client may send XCLIENT and XFORWARD. */
  readonly isTrusted: boolean
}

export interface Session {
  /** The kind of session that it was made of. */
  readonly kind: string
  readonly manner: Manner
  readonly steps: readonly Step[]
}

/** A session that breaks no rule, and what the server must make of it. */
export interface ValidSession extends Session {
  /** Messages that the server must keep. */
  readonly messages: number
  /** Commands that the server must refuse. */
  readonly refusals: number
}

export function send(octets: string): Step {
  return { do: 'send', octets }
}

export const WAIT: Step = { do: 'wait' }

/** Longer octets are cut in print. The seed has them. */
const MAX_PRINTED = 400

/** Returns the session as lines of text. */
export function printed({ kind, manner, steps }: Session): string {
  const traits = [manner.protocol, manner.addresses, manner.bareLineEndings, ...(manner.authRequired ? ['auth'] : [])]
  if (manner.isTrusted) traits.push('trusted')
  return [`${kind} (${traits.join(', ')})`, ...steps.map((step) => `  ${printedStep(step)}`)].join('\n')
}

function printedStep(step: Step): string {
  if (step.do === 'respond')
    return `respond ${step.how}${step.edits.map((edit) => ` ${JSON.stringify(edit)}`).join('')}`
  if (step.do !== 'send') return step.do
  const { octets, by } = step
  const rest = octets.length > MAX_PRINTED ? ` and ${octets.length - MAX_PRINTED} octets more` : ''
  const pieces = by === undefined ? '' : ` by ${by}`
  return `send${pieces} ${JSON.stringify(octets.slice(0, MAX_PRINTED))}${rest}`
}
