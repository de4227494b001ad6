/** CRAM-MD5: RFC 2195. It needs the password in clear, and anyone who reads the exchange can guess it. Prefer SCRAM. */
import { cramDigest } from './md5.ts'
import type { Accounts, Mechanism, SaslPeer, Step } from './mechanism.ts'
import { challenge, isSameSecret, MALFORMED, octetsOf, randomText, REFUSED, textOf } from './text.ts'

const DIGEST = /^[0-9a-fA-F]{32}$/

/** @param makeNonce Makes the part of the challenge that never comes again */
export function makeCramMd5(makeNonce: () => string = () => randomText(24)): Mechanism {
  return {
    name: 'CRAM-MD5',
    showsPassword: false,
    isSupported: (accounts) => accounts.sharedSecret !== undefined,
    start(accounts, { hostname }: SaslPeer) {
      let sent: string | undefined
      return {
        next(response) {
          if (sent === undefined) {
            // The server speaks first, so an initial response cannot be one.
            if (response !== undefined) return MALFORMED
            sent = `<${makeNonce()}@${hostname}>`
            return challenge(sent)
          }
          const text = response && textOf(response)
          const blank = text?.lastIndexOf(' ') ?? -1
          if (text === undefined || blank < 1) return MALFORMED
          const digest = text.slice(blank + 1).toLowerCase()
          return DIGEST.test(digest) ? check(accounts, sent, text.slice(0, blank), digest) : MALFORMED
        },
      }
    },
  }
}

async function check(accounts: Accounts, sent: string, username: string, digest: string): Promise<Step> {
  const secret: unknown = await accounts.sharedSecret?.(username)
  if (secret !== undefined && typeof secret !== 'string')
    throw new TypeError('sharedSecret answers with a string or nothing')
  const isKnown = secret !== undefined && secret !== ''
  const expected = cramDigest(octetsOf(isKnown ? secret : randomText(16)), octetsOf(sent))
  return isSameSecret(octetsOf(digest), octetsOf(expected)) && isKnown ? { user: username } : REFUSED
}
