/** The trace header: RFC 5321 4.4, with the `with` keywords of RFC 3848 and RFC 6531 4.3. */
import type { Endpoint } from '../../duplex.ts'
import type { Envelope } from '../../protocol/grammar/envelope.ts'
import type { Session, TransmissionType } from './session.ts'

const encoder = new TextEncoder()
/** Octets of a header line that is not wrapped again (RFC 5322 2.1.1 recommends 78). */
const MAX_LINE = 78
/**
 * Octets of the whole field. No line may have more (RFC 5322 2.1.1), and some programs unfold a field before they
 * count.
 */
const MAX_FIELD = 998
/** Octets of a host name (RFC 1035 2.3.4). A client may send a longer one. */
const MAX_NAME = 255
/** Characters of the TLS names that a proxy gives. The name of every cipher is shorter. */
const MAX_TLS_WORD = 64

/** Returns how this message came in. HELO is SMTP, also under TLS or AUTH. */
export function transmissionType(session: Pick<Session, 'hello' | 'tls' | 'user'>, isUtf8: boolean): TransmissionType {
  const verb = session.hello?.verb
  if (verb === undefined || verb === 'HELO') return 'SMTP'
  const suffix = `${session.tls === undefined ? '' : 'S'}${session.user === undefined ? '' : 'A'}` as const
  if (verb === 'LHLO') return `${isUtf8 ? 'UTF8LMTP' : 'LMTP'}${suffix}`
  return `${isUtf8 ? 'UTF8SMTP' : 'ESMTP'}${suffix}`
}

/**
 * Returns the `Received:` field for a message, CRLF included.
 * It names the recipient only if there is exactly one. With several, each recipient would see the others (RFC 5321
 * 7.2). It leaves out a recipient that would make the field longer than a line may be.
 */
export function receivedField(
  session: Session,
  envelope: Envelope,
  hostname: string,
  id: string,
  receivedAt: Date,
): Uint8Array {
  const { hello, tls } = session
  const clauses = [
    `from ${safe(hello?.name ?? '', MAX_NAME)} (${tcpInfo(session)})`,
    `by ${hostname} with ${session.transmissionType}`,
  ]
  // Some runtimes do not tell what was agreed on.
  if (tls !== undefined && tls.protocol !== '') {
    const cipher = tls.cipher === '' ? '' : ` ${safe(tls.cipher, MAX_TLS_WORD)}`
    clauses.push(`(${safe(tls.protocol, MAX_TLS_WORD)}${cipher})`)
  }
  clauses.push(`id ${id}`)
  const { forwardPaths } = envelope
  const date = dateTime(receivedAt.getTime())
  const [only] = forwardPaths
  if (only === undefined || forwardPaths.length > 1) return encoder.encode(field(clauses, date))
  const octets = encoder.encode(field([...clauses, `for <${only.address}>`], date))
  return octets.length <= MAX_FIELD ? octets : encoder.encode(field(clauses, date))
}

/** Folds the clauses into lines, CRLF included. */
function field(clauses: readonly string[], date: string): string {
  let text = 'Received:'
  let lineLength = text.length
  for (let i = 0; i < clauses.length; i++) {
    const clause = i === clauses.length - 1 ? `${clauses[i]};` : (clauses[i] as string)
    const folds = lineLength + 1 + clause.length > MAX_LINE
    text += folds ? `\r\n ${clause}` : ` ${clause}`
    lineLength = folds ? 1 + clause.length : lineLength + 1 + clause.length
  }
  return `${text}\r\n ${date}\r\n`
}

let lastSecond = NaN
let lastDateTime = ''

/** Formats a time as in RFC 5322 3.3, in UTC. Keeps the last text, because many messages come within one second. */
function dateTime(ms: number): string {
  const second = Math.floor(ms / 1000)
  if (second !== lastSecond) {
    lastDateTime = new Date(ms).toUTCString().replace('GMT', '+0000')
    lastSecond = second
  }
  return lastDateTime
}

/** Returns the client's name, if it was looked up, and its address as an address literal (RFC 5321 4.1.3, 4.4). */
function tcpInfo({ remote, reverseDns }: Session): string {
  const address = addressInfo(remote)
  return reverseDns === undefined ? address : `${safe(reverseDns.name, MAX_NAME)} ${address}`
}

function addressInfo({ family, address }: Endpoint): string {
  if (family === 'ipv4') return `[${address}]`
  if (family === 'ipv6') return `[IPv6:${address}]`
  return family
}

/** Keeps only characters that a name may have. A lenient HELO name may have any text, or none. */
function safe(text: string, maxLength: number): string {
  return text === '' ? 'unknown' : text.slice(0, maxLength).replace(/[^A-Za-z0-9._:[\]-]/g, '?')
}
