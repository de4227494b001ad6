/** The addresses of a server of HTTPS. */
import type { Resolver } from '@postern/dns/names'

/** Addresses of a host that are tried. */
const MAX_ADDRESSES = 4

export async function addressesOf(host: string, resolver: Resolver, signal: AbortSignal): Promise<readonly string[]> {
  const answers = await Promise.all([
    resolver.resolve(host, 'A', { signal }),
    resolver.resolve(host, 'AAAA', { signal }),
  ])
  return answers.flatMap((answer) => (answer.status === 'found' ? answer.records : [])).slice(0, MAX_ADDRESSES)
}
