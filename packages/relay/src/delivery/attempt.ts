/**
 * One attempt to hand a message to the next server: RFC 5321 5.1. Hops are tried in order. An answer about the recipients ends the
 * attempt, and so does a lost final reply, because the server may have the message. If no hop takes part, the last failure is the answer.
 */
import {
  type Client,
  ClientError,
  type OutgoingEnvelope,
  type OutgoingMessage,
  type RecipientOutcome,
  type ServerReply,
} from '@postern/engine/client'
import type { Answer } from './answer.ts'
import type { Connections } from './connections.ts'
import { type Hop, keyOf, type Route } from './hop.ts'
import type { OctetFacts } from './octets.ts'
import { refusalOf, RequireTlsFailures } from './require-tls.ts'

/** What became of one recipient. */
export interface Result {
  readonly state: 'relayed' | 'delivered' | 'failed' | 'temporary'
  readonly code: number
  readonly enhancedCode: string
  readonly text: string
  /** The server that answered; '' if none did. */
  readonly host: string
  /** The server offers DSN and was given the wish of the sender. */
  readonly passesNotify: boolean
}

export interface Attempt {
  /** For each recipient, in the order of the envelope. */
  readonly results: readonly Result[]
  /** `refused`: the destination wants less now. `none`: nothing is learnt. */
  readonly learnt: 'succeeded' | 'refused' | 'none'
  /** The server may have the message, although its final reply was lost. */
  readonly mayBeAccepted: boolean
}

export interface AttemptDeps {
  readonly connections: Connections
  /** Connects and greets. `isInClear` overrides the hop: its TLS handshake has failed. */
  connect(hop: Hop, isInClear: boolean, signal: AbortSignal): Promise<Client>
  /** Tells of a hop that failed, for the log. */
  hopFailed?(hop: Hop, error: Error): void
}

/** One message for the recipients of one destination. */
export interface Mail {
  readonly envelope: OutgoingEnvelope
  /** Opens the message from its beginning. It may be called for each hop. */
  open(): OutgoingMessage | Promise<OutgoingMessage>
  /** Reads the message to learn what its octets are. */
  facts(): Promise<OctetFacts>
}

/** The enhanced code of 452 for a recipient too many. */
export const TOO_MANY = '4.5.3'
/** A host with many addresses is not tried with all of them. */
const MAX_HOPS = 10
const NO_SERVER = { isTemporary: true, code: 0, enhancedCode: '4.4.4', text: 'no server to try', host: '' } as const

export async function attempt(route: Route, mail: Mail, deps: AttemptDeps, signal: AbortSignal): Promise<Attempt> {
  const count = mail.envelope.forwardPaths.length
  if (!('hops' in route)) return same(count, { ...route, host: '' }, 'none')
  const required = mail.envelope.requireTls === true ? new RequireTlsFailures() : undefined
  if (route.isComplete === false) required?.leaveOut()
  let last: Attempt | undefined
  let mayBeAccepted = false
  let hops = 0
  for (const hop of route.hops) {
    if (required?.has(hop.host) === true) continue
    if (signal.aborted || ++hops > MAX_HOPS) {
      required?.leaveOut()
      break
    }
    const tried = await tryHop(hop, mail, deps, signal)
    mayBeAccepted ||= tried.mayBeAccepted
    if (!(tried.answer instanceof ClientError)) return { ...tried.answer, mayBeAccepted }
    deps.hopFailed?.(hop, tried.answer)
    const failure = failureOf(hop, tried.answer)
    required?.add(hop.host, tried.answer, failure)
    // A server that lacks only REQUIRETLS takes other messages.
    last = same(count, required?.answer() ?? failure, required?.has(hop.host) === true ? 'none' : 'refused')
  }
  if (required !== undefined && last !== undefined) last = same(count, required.answer(), last.learnt)
  last ??= same(count, NO_SERVER, 'none')
  return { ...last, mayBeAccepted }
}

interface Tried {
  /** The error if the hop took no part, so that the next one is tried. */
  readonly answer: Attempt | ClientError
  /** See {@link Attempt}. It is also true if the connection that was lost was not the last one. */
  readonly mayBeAccepted: boolean
}

async function tryHop(hop: Hop, mail: Mail, deps: AttemptDeps, signal: AbortSignal): Promise<Tried> {
  const key = keyOf(hop)
  const reused = deps.connections.take(key)
  let mayBeAccepted = false
  if (reused !== undefined) {
    const answer = await sendOn(reused, hop, mail, deps, signal)
    mayBeAccepted = answer.mayBeAccepted
    // A connection that waited may be dead. Nothing was said of the message yet.
    if (!(answer instanceof ClientError) || isRefusal(mail, answer)) return { answer, mayBeAccepted }
  }
  let client: Client
  try {
    client = await open(hop, deps, signal)
  } catch (error) {
    if (error instanceof ClientError) return { answer: error, mayBeAccepted }
    throw error
  }
  deps.connections.add(key, client)
  const answer = await sendOn(client, hop, mail, deps, signal)
  return { answer, mayBeAccepted: mayBeAccepted || answer.mayBeAccepted }
}

/** Connects. If TLS is only a wish and its handshake fails, connects again in clear. */
async function open(hop: Hop, deps: AttemptDeps, signal: AbortSignal): Promise<Client> {
  try {
    return await deps.connect(hop, false, signal)
  } catch (error) {
    const isTlsFailure = error instanceof ClientError && error.stage === 'starttls'
    if (!isTlsFailure || hop.tls !== 'may' || signal.aborted) throw error
    deps.hopFailed?.(hop, error)
    return deps.connect(hop, true, signal)
  }
}

/** Returns the error if the hop took no part. */
async function sendOn(
  client: Client,
  hop: Hop,
  mail: Mail,
  { connections }: AttemptDeps,
  signal: AbortSignal,
): Promise<Attempt | ClientError> {
  const facts = { host: hop.host, isLast: hop.protocol === 'lmtp', offersDsn: client.server.extensions.has('DSN') }
  try {
    const { recipients } = await client.send(await envelopeFor(client, mail), await mail.open(), { signal })
    const results = recipients.map((outcome) =>
      isOneTooMany(outcome) ? tooMany(outcome, facts) : resultOf(outcome, facts),
    )
    return { results, learnt: 'succeeded', mayBeAccepted: false }
  } catch (error) {
    if (!(error instanceof ClientError)) {
      client.destroy(error as Error)
      throw error
    }
    if (isRefusal(mail, error) || isAboutConnection(error)) return error
    const { recipients } = mail.envelope.forwardPaths.length === error.recipients.length ? error : { recipients: [] }
    const whole = failureOf(hop, error)
    const results = mail.envelope.forwardPaths.map((_, index) => {
      const outcome = recipients[index]
      return outcome === undefined ? toResult(whole) : resultOf(outcome, facts)
    })
    const { code = 0, mayBeAccepted } = error
    return { results, learnt: code === 421 ? 'refused' : 'none', mayBeAccepted }
  } finally {
    connections.giveBack(client)
  }
}

/**
 * Announces the message as what it is, if the server does not offer what its sender announced. Many programs announce each message as
 * 8BITMIME.
 */
async function envelopeFor({ server: { extensions } }: Client, { envelope, facts }: Mail): Promise<OutgoingEnvelope> {
  const { bodyType = '7BIT' } = envelope
  const isOffered = extensions.has(bodyType) && (bodyType === '8BITMIME' || extensions.has('CHUNKING'))
  if (bodyType === '7BIT' || isOffered) return envelope
  const { has8Bit, hasLines } = await facts()
  if (bodyType === 'BINARYMIME' && !hasLines) return envelope
  return { ...envelope, bodyType: has8Bit ? '8BITMIME' : '7BIT' }
}

/**
 * Returns whether a server that took other recipients has refused this one only because there are too many. Some servers say 552, as RFC
 * 821 wanted (RFC 5321 4.5.3.1.10).
 */
function isOneTooMany({ isAccepted, reply: { code, enhancedCode }, stage }: RecipientOutcome): boolean {
  if (isAccepted || stage !== 'rcpt') return false
  if (code === 452) return enhancedCode === '' || enhancedCode === TOO_MANY
  return code === 552 && (enhancedCode === '' || enhancedCode === '5.5.3')
}

function tooMany({ reply: { code, text } }: RecipientOutcome, { host }: { readonly host: string }): Result {
  return { state: 'temporary', code, enhancedCode: TOO_MANY, text, host, passesNotify: false }
}

/**
 * Returns whether the next hop may do better: the server said nothing of this message, or it was not there to say it.
 *
 * A small message goes with MAIL in one write. If the connection is lost before any reply, most probably the server had left
 * before. It may have the message nevertheless, because all replies may be lost together. The message is sent again in any case, and at
 * once is not worse than later. The attempt says `mayBeAccepted`.
 */
function isAboutConnection({ stage, reason, isTemporary, mayBeAccepted, recipients }: ClientError): boolean {
  const isUnanswered = stage === 'mail' || stage === 'command'
  if (mayBeAccepted && !isUnanswered) return false
  if (reason === 'unsupported' || recipients.some(({ isAccepted }) => isAccepted)) return false
  if (reason === 'refused') return stage === 'mail' && isTemporary
  return true
}

/** Returns whether the server may not have the message because of REQUIRETLS. */
function isRefusal({ envelope }: Mail, error: ClientError): boolean {
  return envelope.requireTls === true && refusalOf(error) !== undefined
}

function failureOf({ host, tls }: Hop, error: ClientError): Answer {
  const { code = 0, message, reason, reply, stage } = error
  // A server that greets with 5xx may be wrong about itself, and one that refuses a login may be mended (RFC 5321 5.1 tries the next host).
  const isTemporary =
    error.isTemporary || stage === 'connect' || stage === 'greeting' || stage === 'hello' || stage === 'auth'
  const own = reason === 'tls' || (stage === 'starttls' && tls !== 'may') ? '7.10' : '4.2'
  const { enhancedCode } = error
  return {
    isTemporary,
    code,
    enhancedCode: enhancedCode !== undefined && enhancedCode !== '' ? enhancedCode : `${isTemporary ? 4 : 5}.${own}`,
    text: reply?.text ?? message,
    host: stage === 'connect' ? '' : host,
  }
}

function resultOf(
  { isAccepted, reply }: RecipientOutcome,
  { host, isLast, offersDsn }: { readonly host: string; readonly isLast: boolean; readonly offersDsn: boolean },
): Result {
  const state = isAccepted ? (isLast ? 'delivered' : 'relayed') : isPermanent(reply) ? 'failed' : 'temporary'
  const { code, enhancedCode, text } = reply
  return { state, code, enhancedCode, text, host, passesNotify: isAccepted && offersDsn }
}

function isPermanent({ code }: ServerReply): boolean {
  return code >= 500
}

function same(count: number, answer: Answer, learnt: Attempt['learnt']): Attempt {
  return { results: Array.from({ length: count }, () => toResult(answer)), learnt, mayBeAccepted: false }
}

function toResult({ isTemporary, code, enhancedCode, text, host }: Answer): Result {
  return { state: isTemporary ? 'temporary' : 'failed', code, enhancedCode, text, host, passesNotify: false }
}
