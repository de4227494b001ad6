/** Mail of users for other servers: whoever sends it on gets it before the client gets its reply. */
import {
  type Envelope,
  type ForwardPath,
  type RecipientHandling,
  type Reply,
  reply,
  type Session,
} from '@postern/engine'
import type { IncomingMail } from '@postern/storage'
import type { ArrivalVerdict } from './verification/message.ts'

/** Sends mail on. */
export interface Onward {
  /**
   * Takes a message. When the promise resolves, the message is durable, and so is the wish to send it on.
   * @param id The message's
   * @param shares The recipients for whom it is sent on, and those for whom it is forwarded. There is at least one. Also what was found out about
   *   the message when it came
   * @param message Its bytes, with the trace header. A piece is valid until the next one is asked for
   * @param before Called when the bytes are durable, and before the message is sent. If it rejects, so does `submit`, and nothing is sent
   */
  submit(
    id: string,
    envelope: Envelope,
    shares: Pick<Shares, 'away' | 'forwarded'> & { readonly arrival?: ArrivalVerdict | undefined },
    message: AsyncIterable<Uint8Array>,
    before: (open: () => AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<void>
}

/** A message that is partly or wholly for other servers. */
export interface OnwardMail {
  readonly message: IncomingMail
  readonly session: Session
  /** Missing if nobody verified the message. */
  readonly arrival?: ArrivalVerdict | undefined
  /** Keeps a message for the recipients here. @throws Refusal if it cannot */
  keep(message: IncomingMail, session: Session): Promise<Reply>
}

const NOTHING = new Uint8Array(0)

/** What becomes of a message, by its recipients. */
export interface Shares {
  /** Those for whom the store keeps it. */
  readonly kept: readonly ForwardPath[]
  /** Those whose mail is sent on: they are elsewhere, or the message is to be held (RFC 4865). */
  readonly away: readonly ForwardPath[]
  /** Those whose mail a rule forwards, or delivers to a server. It may be kept too. */
  readonly forwarded: readonly ForwardPath[]
}

/** Returns whether somebody forwards mail of the recipient, or delivers it to a server. */
export function isSentOn(handling: RecipientHandling | undefined): boolean {
  return handling !== undefined && handling.forwardsTo.length + (handling.deliversTo?.length ?? 0) > 0
}

/** Returns what becomes of a message; undefined if the store keeps it for all. */
export function sharesOf({ forwardPaths, holdUntil }: Envelope): Shares | undefined {
  const isPlain = (path: ForwardPath): boolean => path.isElsewhere !== true && path.handling === undefined
  if (holdUntil === undefined && forwardPaths.every(isPlain)) return undefined
  const stays = forwardPaths.filter(({ handling }) => handling?.keeps !== false)
  const isAway = ({ isElsewhere }: ForwardPath): boolean => holdUntil !== undefined || isElsewhere === true
  return {
    kept: stays.filter((path) => !isAway(path)),
    away: stays.filter(isAway),
    forwarded: forwardPaths.filter(({ handling }) => isSentOn(handling)),
  }
}

/**
 * Hands a message to whoever sends it on, and keeps it for the recipients that are here. Answers as a store does. If one of both fails, the
 * client gets that failure for all recipients, and sends the message again.
 * @param onward May be missing if all are kept or dropped
 */
export async function share(shares: Shares, onward: Onward | undefined, mail: OnwardMail): Promise<Reply> {
  const { message, session, keep, arrival } = mail
  const { kept, away, forwarded } = shares
  if (away.length === 0 && forwarded.length === 0) {
    if (kept.length > 0) return keep(forSome(kept, message), session)
    while ((await message.read()) !== null);
    return reply(250, '2.0.0', `OK ${message.id}`)
  }
  if (onward === undefined) throw new Error('a recipient is elsewhere or is forwarded, and nobody sends mail on')
  await onward.submit(message.id, message.envelope, { away, forwarded, arrival }, bytesOf(message), async (open) => {
    if (kept.length > 0) await keep(copyFor(kept, message, open()), session)
  })
  return reply(250, '2.0.0', `OK queued as ${message.id}`)
}

/** Makes a message for some of the recipients. */
function forSome(forwardPaths: readonly ForwardPath[], message: IncomingMail): IncomingMail {
  return {
    id: message.id,
    envelope: { ...message.envelope, forwardPaths },
    receivedAt: message.receivedAt,
    trace: message.trace,
    read: () => message.read(),
    ...(message.facts !== undefined && { facts: message.facts.bind(message) }),
  }
}

async function* bytesOf(message: IncomingMail): AsyncGenerator<Uint8Array, void, undefined> {
  yield message.trace
  for (let chunk = await message.read(); chunk !== null; chunk = await message.read()) yield chunk
}

/** Makes a message for some of the recipients, with bytes that are durable already. */
function copyFor(
  forwardPaths: readonly ForwardPath[],
  message: IncomingMail,
  bytes: AsyncIterable<Uint8Array>,
): IncomingMail {
  const iterator = bytes[Symbol.asyncIterator]()
  return {
    id: message.id,
    envelope: { ...message.envelope, forwardPaths },
    receivedAt: message.receivedAt,
    trace: NOTHING,
    async read() {
      const { value, done } = await iterator.next()
      // After its end, a message whose client has been told that it failed throws.
      return done === true ? message.read() : value
    },
    ...(message.facts !== undefined && { facts: message.facts.bind(message) }),
  }
}
