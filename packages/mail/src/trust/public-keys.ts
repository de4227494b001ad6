/** The keys of signatures: looked up in DNS, and checked (RFC 6376 3.6.1, RFC 8301, RFC 8463). */
import type { Resolver } from '@postern/dns/names'
import { bitsOf, type KeyType, MIN_RSA_BITS, openPublic, parseTags, PublicKeyError } from '../signatures/index.ts'
import type { Refused, SignatureField } from './signature-field.ts'
import type { SignatureFault } from './verdicts.ts'

type VerifyKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>

export interface FoundKey {
  readonly key: VerifyKey
  /** `t=y`. */
  readonly isTest: boolean
}

/** A longer modulus costs more than any signature is worth. RFC 8301 3.2 asks for 4096. */
const MAX_RSA_BITS = 8192
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/
const MAX_RECORD_LENGTH = 8192
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const

/** Looks up the key of a signature. */
export async function findKey(signature: SignatureField, resolver: Resolver): Promise<FoundKey | Refused> {
  const { domain, selector, type } = signature
  const refuse = (result: Refused['result'], reason: SignatureFault): Refused => {
    return { result, reason, domain, selector, algorithm: `${type}-sha256` }
  }
  const answer = await resolver.resolve(`${selector}._domainkey.${domain}`, 'TXT')
  if (answer.status === 'failed') return refuse('temperror', 'dns')
  if (answer.status !== 'found') return refuse('permerror', 'no-key')
  // Other records may stand beside the key. RFC 6376 3.6.2.2 leaves it open which of several keys counts.
  const records = answer.records.flatMap(({ text }) => (text.length > MAX_RECORD_LENGTH ? [] : [parseTags(text)]))
  const tags = records.find((one) => one?.has('p') === true)
  if (tags === undefined) return refuse('permerror', 'key-syntax')
  const fault = faultOf(tags, signature)
  if (fault !== undefined) return refuse('permerror', fault)
  try {
    const key = openPublic(type, Buffer.from((tags.get('p') ?? '').replaceAll(/\s/g, ''), 'base64'))
    const bits = bitsOf(key)
    if (type === 'rsa' && bits < MIN_RSA_BITS) return refuse('policy', 'short-key')
    if (bits > MAX_RSA_BITS) return refuse('policy', 'long-key')
    return { key: await imported(type, key), isTest: listOf(tags.get('t')).includes('y') }
  } catch (error) {
    // WebCrypto refuses some keys that OpenSSL opens, with an error of its own.
    if (!(error instanceof PublicKeyError) && !(error instanceof Error)) throw error
    return refuse('permerror', 'key-syntax')
  }
}

function faultOf(tags: ReadonlyMap<string, string>, signature: SignatureField): SignatureFault | undefined {
  const [first] = tags.keys()
  const version = tags.get('v')
  if (version !== undefined && (version !== 'DKIM1' || first !== 'v')) return 'key-syntax'
  if ((tags.get('k') ?? 'rsa').toLowerCase() !== signature.type) return 'key-type'
  if (tags.has('h') && !listOf(tags.get('h')).includes('sha256')) return 'key-hash'
  const services = listOf(tags.get('s'))
  if (tags.has('s') && !services.includes('*') && !services.includes('email')) return 'key-service'
  if (listOf(tags.get('t')).includes('s') && !signature.isExact) return 'identity'
  const text = (tags.get('p') ?? '').replaceAll(/\s/g, '')
  if (text === '') return 'revoked'
  return BASE64.test(text) ? undefined : 'key-syntax'
}

function listOf(text: string | undefined): readonly string[] {
  return (text ?? '').split(':').map((name) => name.trim().toLowerCase())
}

function imported(type: KeyType, key: ReturnType<typeof openPublic>): Promise<VerifyKey> {
  if (type === 'rsa') {
    const der = Uint8Array.from(key.export({ type: 'spki', format: 'der' }))
    return crypto.subtle.importKey('spki', der, RSA, false, ['verify'])
  }
  const { x = '' } = key.export({ format: 'jwk' })
  return crypto.subtle.importKey('raw', Uint8Array.from(Buffer.from(x, 'base64url')), 'Ed25519', false, ['verify'])
}

/** Returns whether the key has signed these octets (RFC 8463 3: an Ed25519 key signs their hash). */
export async function isSigned(
  { key }: FoundKey,
  type: KeyType,
  signature: Uint8Array,
  text: string,
): Promise<boolean> {
  const octets = Uint8Array.from(Buffer.from(text, 'latin1'))
  const given = Uint8Array.from(signature)
  if (type === 'rsa') return crypto.subtle.verify(RSA.name, key, given, octets)
  return crypto.subtle.verify('Ed25519', key, given, await crypto.subtle.digest('SHA-256', octets))
}
