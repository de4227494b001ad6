/** Mail of users for other servers: whoever sends it on gets it before the client gets its reply. */
import { type Envelope, type ForwardPath, type Reply, reply, type Session } from '@postern/engine'
import type { IncomingMail } from '@postern/storage'

/** Sends mail on. */
export interface Onward {
  /**
   * Takes a message. When the promise resolves, the message is durable, and so is the wish to send it on.
   * @param id The message's
   * @param recipients Those for whom it is sent on. At least one
   * @param message Its bytes, with the trace header. A piece is valid until the next one is asked for
   * @param before Called when the bytes are durable, and before the message is sent. If it rejects, so does `submit`, and nothing is sent
   */
  submit(
    id: string,
    envelope: Envelope,
    recipients: readonly ForwardPath[],
    message: AsyncIterable<Uint8Array>,
    before: (open: () => AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<void>
}

/** A message that is partly or wholly for other servers. */
export interface OnwardMail {
  readonly message: IncomingMail
  readonly session: Session
  /** Keeps a message for the recipients here. @throws Refusal if it cannot */
  keep(message: IncomingMail, session: Session): Promise<Reply>
}

const NOTHING = new Uint8Array(0)

/** Returns the recipients whose mail somebody sends on: those that are elsewhere, and all if the message is to be held (RFC 4865). */
export function elsewhere({ forwardPaths, holdUntil }: Envelope): readonly ForwardPath[] {
  return holdUntil === undefined ? forwardPaths.filter(({ isElsewhere }) => isElsewhere === true) : forwardPaths
}

/**
 * Hands a message to whoever sends it on, and keeps it for the recipients that are here. Answers as a store does. If one of both fails, the
 * client gets that failure for all recipients, and sends the message again.
 */
export async function sendOn(onward: Onward, { message, session, keep }: OnwardMail): Promise<Reply> {
  const { envelope } = message
  const away = new Set(elsewhere(envelope))
  const here = envelope.forwardPaths.filter((path) => !away.has(path))
  await onward.submit(message.id, envelope, [...away], bytesOf(message), async (open) => {
    if (here.length > 0) await keep(copyFor(here, message, open()), session)
  })
  return reply(250, '2.0.0', `OK queued as ${message.id}`)
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
  }
}
