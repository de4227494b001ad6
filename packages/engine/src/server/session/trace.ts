/** The trace header: RFC 5321 4.4, with the `with` keywords of RFC 3848 and RFC 6531 4.3. */
import type { Endpoint } from '../../duplex.ts'
import type { Envelope } from '../../protocol/grammar/envelope.ts'
import type { Session, TransmissionType } from './session.ts'

const encoder = new TextEncoder()
/** Octets of a header line that nobody wraps (RFC 5322 2.1.1 recommends 78). */
const MAX_LINE = 78
/** Octets of the whole field. No line may have more (RFC 5322 2.1.1), and some readers unfold before they count. */
const MAX_FIELD = 998
/** Octets of a host name (RFC 1035 2.3.4). A client may say more. */
const MAX_NAME = 255
/** Characters of what a proxy says of TLS. Every name of a cipher has fewer. */
const MAX_TLS_WORD = 64

/** How this message came in. HELO is SMTP, whatever carries it. */
export function transmissionType(session: Pick<Session, 'hello' | 'tls' | 'user'>, isUtf8: boolean): TransmissionType {
  if (session.hello?.verb !== 'EHLO') return 'SMTP'
  const suffix = `${session.tls === undefined ? '' : 'S'}${session.user === undefined ? '' : 'A'}` as const
  return `${isUtf8 ? 'UTF8SMTP' : 'ESMTP'}${suffix}`
}

/**
 * The `Received:` field for a message, CRLF included.
 *
 * The recipient stands in it only where there is one: with more, each would learn of the others (RFC 5321 7.2). A recipient that
 * would make the field longer than a line may be is left out.
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
    `from ${safe(hello?.name ?? '', MAX_NAME)} (${tcpInfo(session.remote)})`,
    `by ${hostname} with ${session.transmissionType}`,
  ]
  // Not every runtime tells what was agreed on.
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

/** RFC 5322 3.3, in UTC. Many messages come within one second: what that is called is kept. */
function dateTime(ms: number): string {
  const second = Math.floor(ms / 1000)
  if (second !== lastSecond) {
    lastDateTime = new Date(ms).toUTCString().replace('GMT', '+0000')
    lastSecond = second
  }
  return lastDateTime
}

/** The address the connection came from, as an address literal (RFC 5321 4.1.3). */
function tcpInfo({ family, address }: Endpoint): string {
  if (family === 'ipv4') return `[${address}]`
  if (family === 'ipv6') return `[IPv6:${address}]`
  return family
}

/** Only what a name is made of. A lenient HELO name may hold anything, or nothing. */
function safe(text: string, maxLength: number): string {
  return text === '' ? 'unknown' : text.slice(0, maxLength).replace(/[^A-Za-z0-9._:[\]-]/g, '?')
}
