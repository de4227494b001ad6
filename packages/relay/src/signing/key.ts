/** Keys that sign: a private key, the domain and selector under which its public key is in DNS, and when it signs. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { asciiDomain } from '@postern/engine'
import { bitsOf, type KeyType, MIN_RSA_BITS } from '@postern/mail/signatures'

/** A key of WebCrypto, whose type differs on each runtime. */
type ImportedKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>

/** A key of another kind, or one that can't sign. The message is the end of the sentence "… is not usable: …". */
export class SigningKeyError extends Error {
  override readonly name = 'SigningKeyError'
}

export interface SigningKeyOptions {
  /** `d=`: the domain that answers for the message. Also signs for domains below it. */
  readonly domain: string
  /** `s=`: one label. */
  readonly selector: string
  /** The key does not sign before. Default: at once. */
  readonly signsFrom?: Date | undefined
  /** The key does not sign from then on. Default: never ends. */
  readonly signsUntil?: Date | undefined
}

/** RFC 8301 3.2: a key should have as many. */
export const RSA_BITS = 2048
/** RFC 6376 3.1. With a dot in it, the name of a key file would have two meanings. */
const SELECTOR = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i
/** Bytes of SubjectPublicKeyInfo in front of the 32 octets of an Ed25519 key (RFC 8410). */
const ED25519_PREFIX_OCTETS = 12
const TXT_OCTETS = 255

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const

/** Returns the selector in lower case; undefined if it is none. */
export function parseSelector(text: string): string | undefined {
  return SELECTOR.test(text) ? text.toLowerCase() : undefined
}

export class SigningKey {
  readonly domain: string
  readonly selector: string
  readonly type: KeyType
  readonly signsFrom: Date | undefined
  readonly signsUntil: Date | undefined
  /** 256 for Ed25519. */
  readonly bits: number
  readonly publicKey: KeyObject
  readonly #privateKey: KeyObject
  #imported: Promise<ImportedKey> | undefined

  /** @param pem PKCS #8 or PKCS #1. @throws SigningKeyError */
  constructor(pem: string, { domain, selector, signsFrom, signsUntil }: SigningKeyOptions) {
    const [ascii, label] = [asciiDomain(domain), parseSelector(selector)]
    if (ascii === undefined) throw new SigningKeyError(`${JSON.stringify(domain)} is not a domain`)
    if (label === undefined) throw new SigningKeyError(`${JSON.stringify(selector)} is not a selector of one label`)
    this.domain = ascii
    this.selector = label
    this.signsFrom = signsFrom
    this.signsUntil = signsUntil
    this.#privateKey = openPrivate(pem)
    this.publicKey = createPublicKey(this.#privateKey)
    this.type = typeOf(this.publicKey)
    this.bits = bitsOf(this.publicKey)
    if (this.bits < MIN_RSA_BITS && this.type === 'rsa') {
      throw new SigningKeyError(`its RSA key has ${this.bits} bits, fewer than ${MIN_RSA_BITS} (RFC 8301)`)
    }
  }

  /** The name of the record in DNS. */
  get recordName(): string {
    return `${this.selector}._domainkey.${this.domain}`
  }

  /** The text of the record in DNS (RFC 6376 3.6.1, RFC 8463 4). */
  get record(): string {
    return `v=DKIM1; k=${this.type}; p=${this.publicText}`
  }

  /** The public key, as `p=` has it. */
  get publicText(): string {
    const spki = this.publicKey.export({ type: 'spki', format: 'der' })
    return (this.type === 'ed25519' ? spki.subarray(ED25519_PREFIX_OCTETS) : spki).toString('base64')
  }

  /** The record as a line of a zone file. A string of a record has at most 255 octets (RFC 1035 3.3), so a longer text is divided. */
  get zoneRecord(): string {
    const strings = Array.from({ length: Math.ceil(this.record.length / TXT_OCTETS) }, (_, at) =>
      JSON.stringify(this.record.slice(at * TXT_OCTETS, (at + 1) * TXT_OCTETS)),
    )
    const data = strings.length === 1 ? strings.join('') : `(\n  ${strings.join('\n  ')} )`
    return `${this.recordName}. IN TXT ${data}`
  }

  /** Returns whether it signs at a time. */
  isActive(nowMs: number): boolean {
    const [from, until] = [this.signsFrom?.getTime() ?? -Infinity, this.signsUntil?.getTime() ?? Infinity]
    return from <= nowMs && nowMs < until
  }

  /** Returns the signature of these octets as base64: `rsa-sha256`, or `ed25519-sha256` (RFC 8463 3: of their hash). */
  async sign(octets: Uint8Array): Promise<string> {
    // Runs beside the event loop. An RSA signature takes longer than all else that a small message needs.
    const key = await (this.#imported ??= this.#import())
    const isRsa = this.type === 'rsa'
    const signed = isRsa ? octets : createHash('sha256').update(octets).digest()
    const signature = await crypto.subtle.sign(isRsa ? RSA.name : 'Ed25519', key, Uint8Array.from(signed))
    return Buffer.from(signature).toString('base64')
  }

  #import(): Promise<ImportedKey> {
    const der = Uint8Array.from(this.#privateKey.export({ type: 'pkcs8', format: 'der' }))
    const algorithm = this.type === 'rsa' ? RSA : { name: 'Ed25519' }
    return crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign'])
  }
}

/** Makes a private key, as PEM. */
export async function generateKey(type: KeyType): Promise<string> {
  const pair =
    type === 'rsa'
      ? await promisify(generateKeyPair)('rsa', { modulusLength: RSA_BITS })
      : await promisify(generateKeyPair)('ed25519')
  return pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function openPrivate(pem: string): KeyObject {
  if (pem.includes('ENCRYPTED'))
    throw new SigningKeyError('its private key is encrypted; store it without a passphrase')
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    // The text of OpenSSL's errors differs on each runtime, and may repeat the key.
    throw new SigningKeyError('it has no private key that can be read', { cause })
  }
}

function typeOf(key: KeyObject): KeyType {
  const type = key.asymmetricKeyType
  if (type === 'rsa' || type === 'ed25519') return type
  throw new SigningKeyError(`it is a key of type ${type ?? 'unknown'}, not rsa or ed25519`)
}
