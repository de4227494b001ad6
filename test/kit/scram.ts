/** A client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), and the keys that a server stores, both by Node's crypto. */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import type { ScramKeys } from '@postern/engine'

export interface ScramClientOptions {
  readonly username: string
  readonly password: string
  readonly nonce?: string
  /** Default 'n,,'. */
  readonly header?: string
  /** The data of the channel that the header names. */
  readonly channel?: Uint8Array
}

/** The client's messages, as text. */
export interface ScramClient {
  readonly first: string
  /** Returns the final message, and the server's signature that must answer it: `v=…`. */
  final(serverFirst: string): { readonly message: string; readonly signature: string }
}

const hmac = (key: Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const sha256 = (octets: Uint8Array): Buffer => createHash('sha256').update(octets).digest()

export function scramKeysOf(password: string, salt: Uint8Array, iterations: number): ScramKeys {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  return { salt, iterations, storedKey: sha256(hmac(salted, 'Client Key')), serverKey: hmac(salted, 'Server Key') }
}

export function scramClient(options: ScramClientOptions): ScramClient {
  const { username, password, nonce = 'rOprNGfwEbeRWgbNEkqO', header = 'n,,', channel = new Uint8Array() } = options
  const bare = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  return {
    first: header + bare,
    final(serverFirst) {
      const [, both = '', salt = '', iterations = ''] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? []
      const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256')
      const clientKey = hmac(salted, 'Client Key')
      const withoutProof = `c=${Buffer.concat([Buffer.from(header), channel]).toString('base64')},r=${both}`
      const signed = `${bare},${serverFirst},${withoutProof}`
      const signature = hmac(sha256(clientKey), signed)
      const proof = clientKey.map((octet, index) => octet ^ (signature[index] ?? 0))
      return {
        message: `${withoutProof},p=${Buffer.from(proof).toString('base64')}`,
        signature: `v=${hmac(hmac(salted, 'Server Key'), signed).toString('base64')}`,
      }
    },
  }
}
