/**
 * Finds out who sent a message before anybody sees it: the user's hook, the store, and whoever sends it on.
 *
 * Authentication-Results stands on top of the bytes, and what it says is known only after the last of them. So the message is held until then.
 */
import { isReply, type Message, type Reply, reply, type Session } from '@postern/engine'
import { type DmarcVerdict, resultsField, type Verdicts, type Verifier, withoutClaims } from '@postern/mail/trust'
import type { MailStore } from '@postern/storage'
import { BudgetError, HeaderBudget, HeldBytes, type Overflow } from './held.ts'
import { type MailVerdicts, VerifiedMessage } from './message.ts'

export interface VerificationOptions {
  readonly verifier: Verifier
  /** The name of this server in Authentication-Results. */
  readonly hostname: string
  /**
   * What becomes of a message that fails DMARC: `tag` keeps it, and its verdicts say so. `quarantine` keeps it in the store of `quarantine`,
   * if the owner of the domain asks for that or for more. `reject` refuses it, if the owner asks for that. Default `tag`.
   */
  readonly policy?: 'tag' | 'quarantine' | 'reject'
  /** Needed for the policy `quarantine`. */
  readonly quarantine?: MailStore
  /** Opens a place for the bytes of one message that are too many for the memory. */
  overflow(): Overflow
}

/** Verifies messages. Made by {@link createVerification}. */
export interface MessageVerification {
  readonly quarantine: MailStore | undefined
  /**
   * Reads a message to its end. @returns the reply if the message is refused
   * @throws MessageError
   */
  verify(message: Message, session: Session): Promise<HeldMessage | Reply>
}

export interface HeldMessage {
  readonly message: VerifiedMessage
  /** Removes the bytes that are held. */
  close(): Promise<void>
}

const UNPROVED = reply(550, '5.7.26', 'The domain in From asks to refuse mail that it has not sent')
const NO_AUTHOR = reply(550, '5.7.26', 'From must be one field, with addresses of one domain')
const BUSY = reply(452, '4.3.1', 'Too many long headers at the same time, try again later')
const LONG_HEADER = reply(552, '5.3.4', 'The header is longer than 262144 octets')
const MAX_HEADER_BYTES = 256 * 1024
/** For all messages at the same time. */
const TOTAL_HEADER_BYTES = 64 * 1024 * 1024
const encoder = new TextEncoder()

/** @throws TypeError */
export function createVerification(options: VerificationOptions): MessageVerification {
  const { policy = 'tag', quarantine } = options
  if (policy === 'quarantine' && quarantine === undefined) throw new TypeError('quarantine: the policy needs a store')
  const budget = new HeaderBudget(TOTAL_HEADER_BYTES)
  return {
    quarantine: policy === 'quarantine' ? quarantine : undefined,
    async verify(message, session) {
      const held = new HeldBytes(() => options.overflow(), budget)
      try {
        const found = await verified(message, session, held, options)
        if (!isReply(found)) return { message: found, close: () => held.close() }
        await held.close()
        return found
      } catch (error) {
        await held.close()
        if (error instanceof BudgetError) return BUSY
        throw error
      }
    },
  }
}

async function verified(
  message: Message,
  session: Session,
  held: HeldBytes,
  { verifier, hostname, policy = 'tag' }: VerificationOptions,
): Promise<VerifiedMessage | Reply> {
  const found = await readAll(message, session, held, verifier)
  if (found.dmarc?.reason === 'long-header') return LONG_HEADER
  const refusal = policy === 'tag' ? undefined : refusalOf(found)
  if (policy === 'reject' && refusal !== undefined) return refusal
  const isQuarantined = policy === 'quarantine' && (refusal !== undefined || asksFor(found, 'quarantine'))
  const { headerEnd } = held
  const { header, removed } = withoutClaims(held.first.subarray(0, headerEnd), hostname)
  const verdicts: MailVerdicts = {
    ...found,
    ...(session.user !== undefined && { sender: { domain: domainOf(session.user) ?? hostname, by: 'auth' } as const }),
    ...(removed > 0 && { removedClaims: removed }),
    ...(isQuarantined && { isQuarantined }),
  }
  return new VerifiedMessage({
    message,
    held,
    first: removed === 0 ? held.first : joined(header, held.first.subarray(headerEnd)),
    trace: joined(encoder.encode(resultsField(hostname, verdicts)), message.trace),
    verdicts,
  })
}

/** Reads the message to its end. The mail of a user who has logged in is not checked, because the user is known. */
async function readAll(message: Message, session: Session, held: HeldBytes, verifier: Verifier): Promise<Verdicts> {
  const isOurs = session.user !== undefined
  const { remote, hello, reverseDns } = session
  const reversePath = message.envelope.reversePath
  const verification = isOurs
    ? undefined
    : verifier.begin({
        remote,
        hello: hello?.name ?? '',
        reversePath: reversePath.address,
        ...(reverseDns !== undefined && { reverseDns }),
      })
  try {
    for (let chunk = await message.read(); chunk !== null; chunk = await message.read()) {
      verification?.update(chunk)
      const kept = held.add(chunk)
      if (kept !== undefined) await kept
    }
    if (verification !== undefined) return await verification.end()
    return held.headerEnd > MAX_HEADER_BYTES ? { dmarc: { result: 'permerror', reason: 'long-header' } } : {}
  } finally {
    verification?.cancel()
  }
}

/** Returns how a message is refused whose From is not proved, or is none. */
function refusalOf(verdicts: Verdicts): Reply | undefined {
  if (asksFor(verdicts, 'reject')) return UNPROVED
  const { dmarc } = verdicts
  const reasons: readonly DmarcVerdict['reason'][] = ['several-from', 'several-domains', 'bad-from']
  return dmarc?.result === 'permerror' && reasons.includes(dmarc.reason) ? NO_AUTHOR : undefined
}

/** Returns whether DMARC fails, and the owner of the domain asks for this. A trusted forwarder may say that it did not fail there. */
function asksFor({ dmarc, sender }: Verdicts, policy: 'quarantine' | 'reject'): boolean {
  return dmarc?.result === 'fail' && sender?.by !== 'arc' && dmarc.policy === policy
}

function domainOf(user: string): string | undefined {
  const at = user.lastIndexOf('@')
  return at === -1 || at === user.length - 1 ? undefined : user.slice(at + 1).toLowerCase()
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const both = new Uint8Array(one.length + other.length)
  both.set(one)
  both.set(other, one.length)
  return both
}
