/** SHA-256 and HMAC-SHA-256 by WebCrypto, for both sides of SCRAM. */

export const HASH_OCTETS = 32

export async function hmac(key: Uint8Array, octets: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const imported = await crypto.subtle.importKey('raw', new Uint8Array(key), algorithm, false, ['sign'])
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, octets))
}

export async function sha256(octets: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(octets)))
}
