/** The key of RFC 8463 A.2 (football.example.com, brisbane), and keys that are made for a test. */
import { generateKey, SigningKey, type SigningKeyOptions } from '@postern/relay/signing'
import type { Job } from './job.ts'

/** Its seed, in the structure of RFC 8410. */
export const RFC8463_ED25519 = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
`
export const RFC8463_ED25519_PUBLIC = '11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='

export interface KeySet {
  readonly keys: readonly SigningKey[]
  readonly given: Job['keys']
  /** The records of DNS by their name. */
  readonly records: Readonly<Record<string, string>>
}

/** Makes keys of both types for domains. */
export async function makeKeys(...domains: readonly string[]): Promise<KeySet> {
  const [rsa, ed25519] = [await generateKey('rsa'), await generateKey('ed25519')]
  return keySet(
    domains.flatMap((domain) => [
      { pem: rsa, domain, selector: 'r' },
      { pem: ed25519, domain, selector: 'e' },
    ]),
  )
}

export function keySet(given: Job['keys']): KeySet {
  const keys = given.map(({ pem, ...options }: SigningKeyOptions & { pem: string }) => new SigningKey(pem, options))
  return { keys, given, records: Object.fromEntries(keys.map((key) => [key.recordName, key.record])) }
}
