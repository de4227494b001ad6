/**
 * Signs messages by DKIM (RFC 6376, RFC 8301, RFC 8463).
 *
 * A signature stands above the bytes that it signs. So a message is read twice: once to sign it, and once to send it. The first
 * reading keeps the header alone, and stops behind it if the message is not ours to sign.
 */
import {
  canonicalFields,
  domainsOfFrom,
  type KeyType,
  type RawField,
  type Unreadable,
  valueOf,
} from '@postern/mail/signatures'
import type { SigningKey } from './key.ts'
import {
  type Chunks,
  type HowOften,
  MAX_SIGNED_FIELDS,
  readMessage,
  signedNames,
  signField,
  unsignedField,
} from './signature.ts'

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

/** The fields that a signature covers. */
export const SIGNED_FIELDS: Readonly<Record<string, HowOften>> = {
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
const NOTHING = new Uint8Array()
/** In the order in which they are written. */
const TYPES: readonly KeyType[] = ['rsa', 'ed25519']

export function createDkimSigner({ keys }: DkimOptions): DkimSigner {
  return {
    async sign(message, nowMs = Date.now()) {
      const read = await readMessage<SignedHeader, UnsignedReason>(message, (fields) =>
        readSignedHeader(fields, typeof keys === 'function' ? keys() : keys, nowMs),
      )
      if (typeof read === 'string') return { isSigned: false, fields: NOTHING, reason: read }
      return signed(read.header, read.bodyHash, nowMs)
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
  readonly fields: readonly RawField[]
  /** The names of `h=`. */
  readonly names: readonly string[]
  readonly keys: readonly SigningKey[]
}

function readSignedHeader(
  fields: readonly RawField[],
  keys: readonly SigningKey[],
  nowMs: number,
): SignedHeader | UnsignedReason {
  const [from, ...others] = fields.filter(({ name }) => name === 'from')
  if (from === undefined) return 'no-from'
  if (others.length > 0) return 'several-from'
  const domains = domainsOfFrom(valueOf(from))
  if (domains === undefined) return 'bad-from'
  const fitting = keysFor(domains, keys, nowMs)
  if (fitting.length === 0) return 'no-key'
  const names = signedNames(fields, SIGNED_FIELDS)
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

async function signed(header: SignedHeader, bodyHash: string, nowMs: number): Promise<Signature> {
  const { names, keys } = header
  const above = canonicalFields(header.fields, names)
  const fields = await Promise.all(
    keys.map((key) => {
      const tags = ['v=1', `a=${key.type}-sha256`, 'c=relaxed/relaxed', `d=${key.domain}`, `s=${key.selector}`]
      const time = `t=${Math.floor(nowMs / 1000)}`
      return signField(key, above, unsignedField('DKIM-Signature', [...tags, time], { names, bodyHash }))
    }),
  )
  return { isSigned: true, fields: Buffer.from(fields.join(''), 'latin1'), keys }
}
