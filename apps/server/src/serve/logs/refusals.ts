/**
 * Logs refusals and their reasons. A refusal is one line. Repetitions of an address are counted ({@link RepeatLog}), so that
 * neither one client nor a flood from many addresses fills a disk.
 */
import { addressKey, type ArrivalError, type Endpoint, type RefusedCommand, type Session } from '@postern/engine'
import { type Explanation, type Fields, peerFields, refusedEntry, replyText, sessionFields } from '@postern/intake'
import type { Logger } from '@logtape/logtape'
import { errorText } from '../../host/failure.ts'
import { type After, type Occurrence, RepeatLog } from './repeats.ts'

/** Lines in a minute, of all workers together. */
const MAX_LINES = 200

export class RefusalLog {
  readonly #repeats: RepeatLog

  constructor(log: Logger, workerCount: number, after?: After) {
    this.#repeats = new RepeatLog(log, {
      maxLines: Math.ceil(MAX_LINES / workerCount),
      level: 'info',
      summary: (times, who) => `${times} more refusals, from ${who} ${who === '1' ? 'address' : 'addresses'}`,
      after,
    })
  }

  /** Notes the refusal of a command, a connection, a login or a message. */
  note(refused: RefusedCommand, session: Session | undefined, explanation?: Explanation): void {
    const { verb, reply, remote, byHook } = refused
    const { message = 'refused', common = {} } = explanation ?? {}
    this.#note(remote, {
      message,
      // The engine has few reply texts, so its text names the reason. A hook may write another text for each recipient.
      kind: `${verb} ${byHook ? `${reply.code} ${reply.enhancedCode}` : reply.wire} ${Object.values(common).join(' ')}`,
      common: { ...addressField(remote), ...common, verb: verb === '' ? undefined : verb, reply: replyText(reply) },
      fields: () => refusedEntry(refused, session, explanation).fields,
    })
  }

  /** Notes a lost message without a reply, because the client gave up or disconnected. */
  lost(session: Session, fields: Fields): void {
    const { remote } = session
    this.#note(remote, {
      message: 'message refused',
      kind: String(fields['reason']),
      common: { ...addressField(remote), reason: fields['reason'] },
      fields: () => ({ ...sessionFields(session, remote), ...fields }),
    })
  }

  /**
   * Notes a failure before the session began, or during the TLS handshake of a session.
   *
   * @param proxyOption The option that says that the connection comes from a proxy
   */
  arrival(error: ArrivalError, session: Session | undefined, proxyOption: string): void {
    const { stage, remote, message, cause } = error
    if (stage === 'tls-handshake') this.#event(remote, 'info', 'TLS handshake failed', handshakeReason(cause), session)
    else if (isPortCheck(error)) this.#event(remote, 'debug', 'a proxy connected and sent nothing', message)
    else {
      this.#event(remote, 'warn', `connection closed: it came from ${proxyOption} without a PROXY header`, message)
    }
  }

  handshake(remote: Endpoint, error: unknown): void {
    this.#event(remote, 'info', 'TLS handshake failed', handshakeReason(error))
  }

  /** Notes a connection to the pipe that did not prove to be from a front. */
  front(remote: Endpoint, reason: string): void {
    this.#event(remote, 'warn', 'a front was refused', reason)
  }

  /** Writes the counts so far. */
  flush(): void {
    this.#repeats.flush()
  }

  #event(remote: Endpoint, level: Occurrence['level'], message: string, reason: string, session?: Session): void {
    const fields = (): Fields => ({ ...sessionFields(session, remote), reason })
    this.#note(remote, { level, message, kind: reason, common: { ...addressField(remote), reason }, fields })
  }

  #note(remote: Endpoint, given: Omit<Occurrence, 'who' | 'level'> & Partial<Pick<Occurrence, 'level'>>): void {
    this.#repeats.note({ level: 'info', ...given, who: addressKey(remote) || remote.family })
  }
}

/** Returns whether a proxy disconnected without sending anything, as health checks do. That may come often. */
export function isPortCheck({ receivedOctets, timedOut }: ArrivalError): boolean {
  return receivedOctets === 0 && !timedOut
}

/** Returns why a handshake failed. Node's `reason` is short; its message also has a thread's number and a file of OpenSSL. */
function handshakeReason(error: unknown): string {
  const { reason } = (error ?? {}) as { readonly reason?: unknown }
  return typeof reason === 'string' ? reason : errorText(error)
}

function addressField(endpoint: Endpoint): Fields {
  return { remote: peerFields(endpoint).remote }
}
