/** Which domain is proved to have sent a message. */
import type { ArcChain } from './arc-chain.ts'
import type { ProvedSender, Verdicts } from './verdicts.ts'

/** @param trustedSealers The domains of forwarders whose word on DMARC counts */
export function senderOf(
  { spf, dkim = [], dmarc }: Verdicts,
  { passes }: Pick<ArcChain, 'passes'>,
  trustedSealers: ReadonlySet<string>,
): ProvedSender | undefined {
  const author = dmarc?.domain
  if (author !== undefined && dmarc?.result === 'pass') return { domain: author, by: 'dmarc' }
  if (author !== undefined && isVouchedFor(author, passes, trustedSealers)) return { domain: author, by: 'arc' }
  const signers = dkim.flatMap(({ result, domain }) => (result === 'pass' && domain !== undefined ? [domain] : []))
  const signer = signers.find((domain) => domain === author) ?? signers[0]
  if (signer !== undefined) return { domain: signer, by: 'dkim' }
  // The name of a greeting is no sender.
  const { result, identity, domain } = spf ?? {}
  return result === 'pass' && identity === 'mailfrom' && domain !== undefined ? { domain, by: 'spf' } : undefined
}

/** Returns whether a trusted sealer says that DMARC passed, and whether everybody who sealed the message after that is trusted too. */
function isVouchedFor(author: string, passes: ArcChain['passes'], trusted: ReadonlySet<string>): boolean {
  for (const pass of passes) {
    if (!trusted.has(pass.sealer)) return false
    if (pass.author === author) return true
  }
  return false
}
