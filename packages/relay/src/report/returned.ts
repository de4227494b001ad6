/** The last part of a report: the message that it is about, or its header (RFC 6522 3, RFC 6532 3.7, RFC 6533 4). */
import type { ReportedMessage } from './facts.ts'
import type { Scan } from './scan.ts'

export interface ReturnedPart {
  readonly type: 'message/rfc822' | 'message/global' | 'text/rfc822-headers' | 'message/global-headers'
  readonly encoding: '7bit' | '8bit' | 'quoted-printable'
  /** How many octets of the message it has. */
  readonly octets: number
  readonly isWhole: boolean
}

/** Chooses what is returned. @param mayBeWhole The report is about a failure, and RET allows it */
export function returnedPart(
  { envelope }: ReportedMessage,
  scan: Scan,
  mayBeWhole: boolean,
  maxOctets: number,
): ReturnedPart {
  const hasUtf8Header = envelope.smtpUtf8 && !scan.isHeaderPlain
  if (mayBeWhole && scan.octets <= maxOctets && !scan.isBinary && envelope.body !== 'BINARYMIME') {
    const type = hasUtf8Header ? 'message/global' : 'message/rfc822'
    return { type, encoding: scan.is8Bit ? '8bit' : '7bit', octets: scan.octets, isWhole: true }
  }
  const type = hasUtf8Header ? 'message/global-headers' : 'text/rfc822-headers'
  const encoding = scan.isHeaderPlain ? '7bit' : 'quoted-printable'
  return { type, encoding, octets: scan.headerOctets, isWhole: false }
}

/** Yields the first octets of a stream, and reads no further. */
export async function* firstOctets(chunks: AsyncIterable<Uint8Array>, octets: number): AsyncGenerator<Uint8Array> {
  let left = octets
  if (left === 0) return
  for await (const chunk of chunks) {
    const piece = chunk.length > left ? chunk.subarray(0, left) : chunk
    left -= piece.length
    if (piece.length > 0) yield piece
    if (left === 0) return
  }
}
