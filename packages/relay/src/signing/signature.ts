/** What signatures of DKIM and ARC share: the fields that they sign, their octets, and the text of a signature field. */
import { BodyHash, HeaderReader, type RawField, relaxed, type Unreadable } from '@postern/mail/signatures'
import type { SigningKey } from './key.ts'

/** A message in chunks. A chunk may change when the next one is asked for. */
export type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/**
 * The fields that are signed (RFC 6376 5.4.1), and how often:
 *
 * - `sealed`: once more than there are, so that nobody can add one (RFC 6376 5.4 and 8.15).
 * - `sealed-if-there`: the same, but only if there is one, because some MTAs add a missing field.
 * - `as-is`: as many as there are, because lists and forwarders add such fields.
 */
export type HowOften = 'sealed' | 'sealed-if-there' | 'as-is'

/** Resent fields may be many. */
export const MAX_SIGNED_FIELDS = 200

/** RFC 5322 2.1.1. */
const LINE_OCTETS = 76
const SIGNATURE_OCTETS = 72

/**
 * Reads a message to its end. Stops behind the header if `begin` refuses it.
 * @param begin Looks at the header, and returns a reason to refuse it
 */
export async function readMessage<Header extends object, Reason extends string>(
  message: Chunks,
  begin: (fields: readonly RawField[]) => Header | Reason,
): Promise<{ readonly header: Header; readonly bodyHash: string } | Reason | Unreadable> {
  const reader = new HeaderReader()
  const body = new BodyHash()
  let header: Header | Reason | Unreadable | undefined
  const read = (): Header | Reason | Unreadable => {
    const fields = reader.fields()
    return typeof fields === 'string' ? fields : begin(fields)
  }
  for await (const chunk of message) {
    const bodyAt = header === undefined ? reader.take(chunk) : 0
    if (!reader.isDone) continue
    header ??= read()
    if (typeof header === 'string') break
    body.update(chunk.subarray(bodyAt))
  }
  header ??= read()
  return typeof header === 'string' ? header : { header, bodyHash: body.digest() }
}

/** Returns the names that a signature lists (`h=`). A name may be there several times. */
export function signedNames(
  fields: readonly RawField[],
  signed: Readonly<Record<string, HowOften>>,
): readonly string[] {
  const counts = new Map<string, number>()
  for (const { name } of fields) counts.set(name, (counts.get(name) ?? 0) + 1)
  return Object.entries(signed).flatMap(([name, how]) => {
    const count = counts.get(name) ?? 0
    const more = how === 'sealed' || (how === 'sealed-if-there' && count > 0) ? 1 : 0
    return Array.from({ length: count + more }, () => name)
  })
}

/** Writes the field of a signature, with nothing behind `b=`, which is its last tag. */
export function unsignedField(
  name: string,
  tags: readonly string[],
  signed?: { readonly names: readonly string[]; readonly bodyHash: string },
): string {
  const names = signed?.names.map((one, at, { length }) => (at === length - 1 ? one : `${one}:`)) ?? []
  const tail = signed === undefined ? '' : `\r\n\th=${lines(names, '', 3)};\r\n\tbh=${signed.bodyHash};`
  return `${name}:${lines(
    tags.map((tag) => `${tag};`),
    ' ',
    name.length + 1,
  )}${tail}\r\n\tb=`
}

/** Signs the octets in front of a field, and the field. @returns the whole field, with its CRLF */
export async function signField(key: SigningKey, above: string, unsigned: string): Promise<string> {
  const name = unsigned.slice(0, unsigned.indexOf(':')).toLowerCase()
  const octets = Buffer.from(above + relaxed({ name, text: unsigned }), 'latin1')
  return `${unsigned}${folded(await key.sign(octets))}\r\n`
}

/** Joins words, and folds the lines (RFC 5322 2.2.3). @param size What is in the first line already */
export function lines(words: readonly string[], between: string, size: number): string {
  let text = ''
  for (const word of words) {
    const isLong = size + between.length + word.length > LINE_OCTETS
    text += isLong ? `\r\n\t${word}` : between + word
    size = (isLong ? 1 : size + between.length) + word.length
  }
  return text
}

function folded(signature: string): string {
  const rows = Array.from({ length: Math.ceil(signature.length / SIGNATURE_OCTETS) }, (_, at) =>
    signature.slice(at * SIGNATURE_OCTETS, (at + 1) * SIGNATURE_OCTETS),
  )
  return rows.join('\r\n\t')
}
