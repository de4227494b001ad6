/** Public keys of signatures, as records in DNS have them. */
import { createPublicKey, type KeyObject } from 'node:crypto'

export type KeyType = 'rsa' | 'ed25519'

/** A key of another kind, or octets that are none. The message is the end of the sentence "… is not usable: …". */
export class PublicKeyError extends Error {
  override readonly name = 'PublicKeyError'
}

/** RFC 8301 3.2: a shorter key must neither sign nor verify. */
export const MIN_RSA_BITS = 1024

/** Opens the public key of a record. @throws PublicKeyError */
export function openPublic(type: KeyType, octets: Uint8Array): KeyObject {
  const der = Buffer.from(octets)
  try {
    if (type === 'ed25519') {
      if (der.length !== 32) throw new PublicKeyError(`an Ed25519 key has 32 octets, not ${der.length}`)
      return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: der.toString('base64url') }, format: 'jwk' })
    }
    // RFC 6376 3.6.1 names the structure of PKCS #1, and most records have the one around it.
    return openRsa(der)
  } catch (cause) {
    if (cause instanceof PublicKeyError) throw cause
    throw new PublicKeyError(`it is no ${type} key`, { cause })
  }
}

/** Returns the bits of a public key. */
export function bitsOf(key: KeyObject): number {
  const { n = '', kty } = key.export({ format: 'jwk' })
  if (kty !== 'RSA') return 256
  const [first = 0, ...rest] = Buffer.from(n, 'base64url')
  return rest.length * 8 + (32 - Math.clz32(first))
}

/** Returns whether two public keys are the same. */
export function isSameKey(one: KeyObject, other: KeyObject): boolean {
  const [a, b] = [one.export({ format: 'jwk' }), other.export({ format: 'jwk' })]
  return a.kty === b.kty && a.n === b.n && a.e === b.e && a.x === b.x
}

function openRsa(der: Buffer): KeyObject {
  try {
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
    if (key.asymmetricKeyType === 'rsa') return key
  } catch {
    return createPublicKey({ key: der, format: 'der', type: 'pkcs1' })
  }
  throw new PublicKeyError('it is no rsa key')
}
