/** Node's TLS options that Deno (2.9) does not support. Deno ignores them without an error, so they are refused here. */
import type { TlsOptions } from '../sockets/tls/credentials.ts'
import type { DialTlsOptions } from '../sockets/outbound.ts'

/** Options of `tls.createSecureContext` that Deno supports. */
const CONTEXT_OPTIONS: readonly string[] = ['key', 'cert', 'ca', 'passphrase', 'minVersion', 'maxVersion']

/**
 * Refuses options of a listener that Deno does not support.
 * @throws TypeError
 */
export function checkServerTls({ secureContext = {}, minVersion = 'TLSv1.2', others, sni = {} }: TlsOptions): void {
  if ([others, ...Object.values(sni).map((host) => host.others)].some((pairs = []) => pairs.length > 0)) {
    throw new TypeError('tls.others: Deno uses one certificate for a host')
  }
  for (const [name, value] of Object.entries(secureContext)) {
    if (value !== undefined && !CONTEXT_OPTIONS.includes(name)) {
      throw new TypeError(`tls.secureContext.${name}: Deno does not support it`)
    }
  }
  if (minVersion !== 'TLSv1.2' && minVersion !== 'TLSv1.3') {
    throw new TypeError(`tls.minVersion: Deno does not support ${minVersion}`)
  }
}

/** Options of `tls.connect` that Deno does not support. */
const REFUSED = [
  'ciphers',
  'crl',
  'dhparam',
  'ecdhCurve',
  'minDHSize',
  'pskCallback',
  'requestOCSP',
  'secureOptions',
  'session',
  'sigalgs',
] as const

/**
 * Refuses options of `dial` that Deno does not support.
 * @throws TypeError
 */
export function checkDialTls(options: DialTlsOptions): void {
  for (const name of REFUSED) {
    if (options[name] !== undefined) throw new TypeError(`tls.${name}: Deno does not support it`)
  }
}
