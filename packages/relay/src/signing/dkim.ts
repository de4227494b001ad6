/**
 * Signs messages by DKIM (RFC 6376, RFC 8301, RFC 8463).
 *
 * A signature stands above the bytes that it signs. So a message is read twice: once to sign it, and once to send it. The first
 * reading keeps the header alone, and stops behind it if the message is not ours to sign.
 */
import { BodyHash } from './body-hash.ts'
import { domainsOfFrom } from './from.ts'
import { type HeaderField, HeaderReader, relaxed, type Unreadable, valueOf } from './header.ts'
import type { KeyType, SigningKey } from './key.ts'

/** A message in chunks. A chunk may change when the next one is asked for. */
export type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

export type UnsignedReason = Unreadable | 'no-from' | 'several-from' | 'bad-from' | 'many-fields' | 'no-key'

/** What a message gets on top. */
export type Signature =
  | {
      readonly isSigned: true
      /** The fields, each with its CRLF. */
      readonly fields: Uint8Array
      readonly keys: readonly SigningKey[]
    }
  | { readonly isSigned: false; readonly fields: Uint8Array; readonly reason: UnsignedReason }

export interface DkimSigner {
  /** Reads a message and signs it, if a key fits its From. @param nowMs Default: now */
  sign(message: Chunks, nowMs?: number): Promise<Signature>
}

export interface DkimOptions {
  /** The keys of all domains, or a function that returns them, so that they can change. */
  readonly keys: readonly SigningKey[] | (() => readonly SigningKey[])
}

/**
 * The fields that are signed (RFC 6376 5.4.1), and how often:
 *
 * - `sealed`: once more than there are, so that nobody can add one (RFC 6376 5.4 and 8.15).
 * - `sealed-if-there`: the same, but only if there is one, because some MTAs add a missing field.
 * - `as-is`: as many as there are, because lists and forwarders add such fields.
 */
const SIGNED: Readonly<Record<string, 'sealed' | 'sealed-if-there' | 'as-is'>> = {
  from: 'sealed',
  sender: 'sealed-if-there',
  'reply-to': 'sealed',
  subject: 'sealed',
  date: 'sealed-if-there',
  'message-id': 'sealed-if-there',
  to: 'sealed',
  cc: 'sealed',
  'mime-version': 'sealed-if-there',
  'content-type': 'sealed-if-there',
  'content-transfer-encoding': 'sealed-if-there',
  'content-id': 'as-is',
  'content-description': 'as-is',
  'content-disposition': 'as-is',
  'in-reply-to': 'as-is',
  references: 'as-is',
  'resent-date': 'as-is',
  'resent-from': 'as-is',
  'resent-sender': 'as-is',
  'resent-to': 'as-is',
  'resent-cc': 'as-is',
  'resent-message-id': 'as-is',
  'list-id': 'as-is',
  'list-help': 'as-is',
  'list-unsubscribe': 'as-is',
  'list-unsubscribe-post': 'as-is',
  'list-subscribe': 'as-is',
  'list-post': 'as-is',
  'list-owner': 'as-is',
  'list-archive': 'as-is',
}
/** Resent fields may be many. */
const MAX_SIGNED_FIELDS = 200
/** RFC 5322 2.1.1. */
const LINE_OCTETS = 76
const SIGNATURE_NAME = 'DKIM-Signature'
const NOTHING = new Uint8Array()
/** In the order in which they are written. */
const TYPES: readonly KeyType[] = ['rsa', 'ed25519']

export function createDkimSigner({ keys }: DkimOptions): DkimSigner {
  return {
    async sign(message, nowMs = Date.now()) {
      const reader = new HeaderReader()
      const body = new BodyHash()
      let header: SignedHeader | UnsignedReason | undefined
      const begin = (): SignedHeader | UnsignedReason =>
        readSignedHeader(reader, typeof keys === 'function' ? keys() : keys, nowMs)
      for await (const chunk of message) {
        const bodyAt = header === undefined ? reader.take(chunk) : 0
        if (!reader.isDone) continue
        header ??= begin()
        if (typeof header === 'string') break
        body.update(chunk.subarray(bodyAt))
      }
      header ??= begin()
      if (typeof header === 'string') return { isSigned: false, fields: NOTHING, reason: header }
      return signed(header, body.digest(), nowMs)
    },
  }
}

/**
 * Returns a message with its signatures on top. A message that is not ours to sign passes unchanged.
 * @param open Opens the message from its beginning. It is called twice
 */
export async function* withSignature(
  open: () => Chunks,
  signer: DkimSigner,
  nowMs?: number,
): AsyncGenerator<Uint8Array> {
  const { fields } = await signer.sign(open(), nowMs)
  if (fields.length > 0) yield fields
  yield* open()
}

interface SignedHeader {
  readonly fields: readonly HeaderField[]
  /** The names of `h=`. */
  readonly names: readonly string[]
  readonly keys: readonly SigningKey[]
}

function readSignedHeader(
  reader: HeaderReader,
  keys: readonly SigningKey[],
  nowMs: number,
): SignedHeader | UnsignedReason {
  const fields = reader.fields()
  if (typeof fields === 'string') return fields
  const [from, ...others] = fields.filter(({ name }) => name === 'from')
  if (from === undefined) return 'no-from'
  if (others.length > 0) return 'several-from'
  const domains = domainsOfFrom(valueOf(from))
  if (domains === undefined) return 'bad-from'
  const fitting = keysFor(domains, keys, nowMs)
  if (fitting.length === 0) return 'no-key'
  const names = signedNames(fields)
  return names.length > MAX_SIGNED_FIELDS ? 'many-fields' : { fields, names, keys: fitting }
}

/**
 * Returns the keys that sign now for these domains: those of the most specific domain that all of them are equal to or below. Of several
 * keys of one type the one that began last signs.
 */
export function keysFor(domains: readonly string[], keys: readonly SigningKey[], nowMs: number): readonly SigningKey[] {
  const fitting = keys.filter(
    (key) =>
      key.isActive(nowMs) && domains.every((domain) => domain === key.domain || domain.endsWith(`.${key.domain}`)),
  )
  const longest = Math.max(...fitting.map(({ domain }) => domain.length))
  const closest = fitting.filter(({ domain }) => domain.length === longest)
  return TYPES.flatMap((type) =>
    closest
      .filter((key) => key.type === type)
      .toSorted(byBeginning)
      .slice(-1),
  )
}

/** Sorts keys without a beginning first, and equal ones by their selector. */
function byBeginning(one: SigningKey, other: SigningKey): number {
  const [a, b] = [one, other].map(({ signsFrom }) => signsFrom?.getTime() ?? -Infinity) as [number, number]
  if (a !== b) return a < b ? -1 : 1
  return one.selector < other.selector ? -1 : 1
}

function signedNames(fields: readonly HeaderField[]): string[] {
  const counts = new Map<string, number>()
  for (const { name } of fields) counts.set(name, (counts.get(name) ?? 0) + 1)
  return Object.entries(SIGNED).flatMap(([name, how]) => {
    const count = counts.get(name) ?? 0
    const more = how === 'sealed' || (how === 'sealed-if-there' && count > 0) ? 1 : 0
    return Array.from({ length: count + more }, () => name)
  })
}

async function signed(header: SignedHeader, bodyHash: string, nowMs: number): Promise<Signature> {
  const above = canonicalFields(header)
  const fields = await Promise.all(
    header.keys.map(async (key) => {
      const unsigned = signatureField(key, header.names, bodyHash, nowMs)
      const octets = Buffer.from(above + relaxed({ name: SIGNATURE_NAME.toLowerCase(), text: unsigned }), 'latin1')
      return `${unsigned}${folded(await key.sign(octets))}\r\n`
    }),
  )
  return { isSigned: true, fields: Buffer.from(fields.join(''), 'latin1'), keys: header.keys }
}

/** Returns the signed fields in relaxed form. Of several with one name, the last one comes first (RFC 6376 5.4.2). */
function canonicalFields({ fields, names }: SignedHeader): string {
  const left = new Map<string, HeaderField[]>()
  for (const field of fields) {
    const same = left.get(field.name)
    if (same === undefined) left.set(field.name, [field])
    else same.push(field)
  }
  return names
    .map((name) => left.get(name)?.pop())
    .filter((field) => field !== undefined)
    .map((field) => `${relaxed(field)}\r\n`)
    .join('')
}

/** Writes the field of a signature, with nothing behind `b=`. */
function signatureField(
  { type, domain, selector }: SigningKey,
  names: readonly string[],
  bodyHash: string,
  nowMs: number,
): string {
  const tags = [
    'v=1;',
    `a=${type}-sha256;`,
    'c=relaxed/relaxed;',
    `d=${domain};`,
    `s=${selector};`,
    `t=${Math.floor(nowMs / 1000)};`,
  ]
  return `${SIGNATURE_NAME}:${lines(tags, ' ')}\r\n\th=${lines(names.map(colonBehind), '')};\r\n\tbh=${bodyHash};\r\n\tb=`
}

function colonBehind(name: string, at: number, { length }: readonly string[]): string {
  return at === length - 1 ? name : `${name}:`
}

/** Joins words, and folds the lines (RFC 5322 2.2.3). */
function lines(words: readonly string[], between: string): string {
  let text = ''
  let size = SIGNATURE_NAME.length
  for (const word of words) {
    const isLong = size + between.length + word.length > LINE_OCTETS
    text += isLong ? `\r\n\t${word}` : between + word
    size = isLong ? word.length : size + between.length + word.length
  }
  return text
}

function folded(signature: string): string {
  return (signature.match(/.{1,72}/g) ?? []).join('\r\n\t')
}
