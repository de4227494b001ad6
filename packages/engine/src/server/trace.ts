/** The trace header: RFC 5321 4.4, with the `with` keywords of RFC 3848 and RFC 6531 4.3. */
import type { Endpoint } from '../duplex.ts'
import type { Envelope } from '../protocol/envelope.ts'
import type { Session, TransmissionType } from './session.ts'

const encoder = new TextEncoder()
/** Octets of a header line that nobody wraps (RFC 5322 2.1.1 recommends 78). */
const MAX_LINE = 78

/** How this message came in. HELO is SMTP, whatever carries it. */
export function transmissionType(session: Pick<Session, 'hello' | 'tls' | 'user'>, isUtf8: boolean): TransmissionType {
  if (session.hello?.verb !== 'EHLO') return 'SMTP'
  const suffix = `${session.tls === undefined ? '' : 'S'}${session.user === undefined ? '' : 'A'}` as const
  return `${isUtf8 ? 'UTF8SMTP' : 'ESMTP'}${suffix}`
}

/**
 * The `Received:` field for a message, CRLF included.
 *
 * The recipient stands in it only where there is one: with more, each would learn of the others (RFC 5321 7.2).
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
    `from ${safe(hello?.name ?? '')} (${tcpInfo(session.remote)})`,
    `by ${hostname} with ${session.transmissionType}`,
  ]
  // Not every runtime tells what was agreed on.
  if (tls !== undefined && tls.protocol !== '') {
    clauses.push(`(${safe(tls.protocol)}${tls.cipher === '' ? '' : ` ${safe(tls.cipher)}`})`)
  }
  clauses.push(`id ${id}`)
  const [only, ...others] = envelope.forwardPaths
  if (only !== undefined && others.length === 0) clauses.push(`for <${only.address}>`)

  let field = 'Received:'
  let lineLength = field.length
  for (let i = 0; i < clauses.length; i++) {
    const text = i === clauses.length - 1 ? `${clauses[i]};` : (clauses[i] as string)
    const folds = lineLength + 1 + text.length > MAX_LINE
    field += folds ? `\r\n ${text}` : ` ${text}`
    lineLength = folds ? 1 + text.length : lineLength + 1 + text.length
  }
  return encoder.encode(`${field}\r\n ${dateTime(receivedAt.getTime())}\r\n`)
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

/** A lenient HELO name may hold anything; in a header only what a name is made of. */
function safe(text: string): string {
  return text.replace(/[^A-Za-z0-9._:[\]-]/g, '?')
}
