/** Reads the URL of a DNS server. */
import { isIP } from 'node:net'

/** A DNS server: an address for UDP and TCP, or a URL for HTTPS. */
export type ResolverAddress =
  | { readonly kind: 'udp'; readonly address: string; readonly port: number }
  | { readonly kind: 'https'; readonly url: string }

export const RESOLVER_ALLOWED = 'the URL of a DNS server, such as udp://192.0.2.1:53 or https://dns.example/dns-query'

const DNS_PORT = 53
const LOOPBACK = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/

/** Reads `udp://ADDRESS:PORT` or `https://HOST/PATH`; http only for this machine. Returns undefined for any other text. */
export function parseResolverUrl(text: string): ResolverAddress | undefined {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') return undefined
  const { protocol, hostname, port } = url
  if (protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname)))
    return { kind: 'https', url: url.href }
  if (protocol !== 'udp:' || !/^\/?$/.test(url.pathname) || url.search !== '') return undefined
  const address = hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(address) === 0 || port === '0') return undefined
  return { kind: 'udp', address, port: port === '' ? DNS_PORT : Number(port) }
}
