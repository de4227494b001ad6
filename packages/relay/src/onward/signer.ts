/**
 * Signs mail that is sent on: mail of users by DKIM, and forwarded mail by ARC. Forwarded mail gets no DKIM signature, because a stranger
 * may have written an address of ours into its From.
 */
import type { RelayOptions } from '../options.ts'
import { type ArcVerdict, createArcSealer, createDkimSigner, type SigningKey } from '../signing/index.ts'

/** Nobody checked SPF, DKIM or ARC when the message came. A message that has seals already is therefore not sealed. */
const UNKNOWN: ArcVerdict = { chain: 'unknown', results: 'none' }

/** @param keys Called for each message, so that keys may change. @param serverName The name of this server in seals */
export function signerWith(keys: () => readonly SigningKey[], serverName: string): NonNullable<RelayOptions['sign']> {
  const signer = createDkimSigner({ keys })
  return async (open, { envelope: { forwardedBy, arrival = UNKNOWN } }) => {
    if (forwardedBy === undefined) return (await signer.sign(open())).fields
    return (await createArcSealer({ domain: forwardedBy, serverName, keys }).seal(open(), arrival)).fields
  }
}
