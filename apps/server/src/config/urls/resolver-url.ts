/** Reads the URL of a DNS server. */
import { isIP } from 'node:net'
import { parseHttpsResolver } from '@postern/intake/settings'

/** A DNS server: an address for UDP and TCP, or a URL for HTTPS. */
export type ResolverAddress =
  | { readonly kind: 'udp'; readonly address: string; readonly port: number }
  | { readonly kind: 'https'; readonly url: string }

export const RESOLVER_ALLOWED = 'the URL of a DNS server, such as udp://192.0.2.1:53 or https://dns.example/dns-query'

const DNS_PORT = 53

/** Reads `udp://ADDRESS:PORT` or `https://HOST/PATH`; http only for this machine. Returns undefined for any other text. */
export function parseResolverUrl(text: string): ResolverAddress | undefined {
  const https = parseHttpsResolver(text)
  if (https !== undefined) return { kind: 'https', url: https }
  const url = URL.parse(text)
  if (url?.protocol !== 'udp:' || url.username !== '' || url.password !== '') return undefined
  const { hostname, pathname, port, search, hash } = url
  if ((pathname !== '' && pathname !== '/') || search !== '' || hash !== '') return undefined
  const address = hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(address) === 0 || port === '0') return undefined
  return { kind: 'udp', address, port: port === '' ? DNS_PORT : Number(port) }
}
