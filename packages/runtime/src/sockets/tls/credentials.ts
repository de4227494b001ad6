/**
 * The certificates of a listener. They are checked when they are given, and may be replaced while connections are open.
 * They are the same on every runtime that has `node:tls`. Each runtime makes its handshake with them in its own way.
 */
import { acrossCopies } from '@postern/engine'
import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import {
  createSecureContext,
  DEFAULT_CIPHERS,
  type SecureContext,
  type SecureContextOptions,
  type SecureVersion,
} from 'node:tls'

/** A private key and its certificate chain, both PEM. */
export interface KeyPair {
  readonly key: string | Uint8Array
  /** The certificate, followed by the certificates up to the authority. */
  readonly cert: string | Uint8Array
  /** For an encrypted key. */
  readonly passphrase?: string | undefined
}

/** Certificates of one host. */
export interface KeyPairs extends KeyPair {
  /**
   * Pairs with keys of other types, such as ECDSA beside RSA. Each client gets a certificate that it can verify. Refused on
   * Deno, and on Node for a host of `sni`, which use one certificate.
   */
  readonly others?: readonly KeyPair[] | undefined
}

/** A listener's options for STARTTLS or implicit TLS. */
export interface TlsOptions extends KeyPairs {
  /** Authorities that client certificates must chain to, PEM. Default: those that the runtime trusts. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined
  /** Default 'TLSv1.2'. Deno has nothing older. Older versions have ciphers that OpenSSL calls insecure. */
  readonly minVersion?: SecureVersion | undefined
  /**
   * 'request' asks clients for a certificate, and `peerCertificate.verified` says if it chains to `ca`. 'require'
   * refuses a client without such a certificate. Default 'none'.
   */
  readonly clientCertificates?: 'none' | 'request' | 'require' | undefined
  /** Other certificates by the host name that the client asks for. In `*.example.com`, the `*` stands for one label. */
  readonly sni?: Readonly<Record<string, KeyPairs>> | undefined
  /**
   * ALPN protocols, by preference. A client that offers only others is refused. Default: the server does not answer
   * ALPN.
   */
  readonly alpn?: readonly string[] | undefined
  /** More options of `tls.createSecureContext`, for all the certificates here. */
  readonly secureContext?: SecureContextOptions | undefined
}

/** A key or certificate that cannot be used. `cause` is OpenSSL's error. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError'
}

/** Options that were checked. They never change, because they are keys of caches. An update makes new ones. */
export interface CheckedTls {
  readonly options: TlsOptions
  /** For clients that ask for no host, or for a host that is not in `hosts`. */
  readonly context: SecureContextOptions
  /** Contexts by host name or pattern. */
  readonly hosts: ReadonlyMap<string, SecureContext>
}

/** Certificates that listeners share, and that can be replaced at any time. */
export class TlsCredentials {
  static {
    acrossCopies(this, 'TlsCredentials')
  }
  #current: CheckedTls

  /** @throws CertificateError */
  constructor(options: TlsOptions) {
    this.#current = checked(options)
  }

  /** For the next handshake. */
  get current(): CheckedTls {
    return this.#current
  }

  /**
   * Replaces the certificates for all later handshakes. Open connections stay open.
   * @throws CertificateError. Then nothing is replaced.
   */
  update(options: TlsOptions): void {
    this.#current = checked(options)
  }
}

/**
 * Finds the context for exactly this name, or for `*` in place of its first label. Returns undefined if neither is
 * there.
 */
export function contextFor(hosts: ReadonlyMap<string, SecureContext>, name: string): SecureContext | undefined {
  const host = name.toLowerCase()
  return hosts.get(host) ?? hosts.get(host.replace(/^[^.]+/, '*'))
}

function checked(options: TlsOptions): CheckedTls {
  const { clientCertificates = 'none', sni = {} } = options
  if (!['none', 'request', 'require'].includes(clientCertificates)) {
    throw new TypeError(`clientCertificates: '${clientCertificates}' is not 'none', 'request' or 'require'`)
  }
  const hosts = new Map(
    Object.entries(sni).map(([host, pair]) => [hostPattern(host), secureContext(host, pair, options)]),
  )
  return { options, context: contextOptions('the listener', options, options), hosts }
}

function secureContext(host: string, pair: KeyPairs, options: TlsOptions): SecureContext {
  return createSecureContext(contextOptions(`'${host}'`, pair, options))
}

/** Makes the options of a context. */
function contextOptions(what: string, pair: KeyPairs, options: TlsOptions): SecureContextOptions {
  const { ca, minVersion = 'TLSv1.2', secureContext: more = {} } = options
  const authorities = ca === undefined ? {} : { ca: [ca].flat().map(nodePem) }
  // OpenSSL skips an authority that it cannot read. Then it would trust no client.
  for (const pem of authorities.ca ?? []) attempt('an authority in ca cannot be read', () => new X509Certificate(pem))
  const all = {
    ...more,
    ...keysOf(what, pair),
    minVersion,
    ...ciphersOf(minVersion, more.ciphers),
    // A client could make the server compute handshakes without end. Bun and Deno never renegotiate.
    secureOptions: (more.secureOptions ?? 0) | constants.SSL_OP_NO_RENEGOTIATION,
    ...authorities,
  }
  attempt(`the certificate for ${what} cannot be used`, () => createSecureContext(all))
  return all
}

/**
 * Returns the keys and certificates in the form of `createSecureContext`. Checks that they belong together, because
 * OpenSSL would check it only in a handshake.
 */
function keysOf(what: string, { others = [], ...first }: KeyPairs): SecureContextOptions {
  const keys = [first, ...others].map((pair) => privateKeyOf(what, pair))
  const types = keys.map(({ asymmetricKeyType }) => asymmetricKeyType)
  const twice = types.find((type, i) => types.indexOf(type) !== i)
  if (twice !== undefined) throw new CertificateError(`two keys for ${what} are of the type ${twice}; OpenSSL uses one`)
  if (others.length === 0) {
    const { key, cert, passphrase } = first
    return { key: nodePem(key), cert: nodePem(cert), ...(passphrase !== undefined && { passphrase }) }
  }
  return {
    // Opened, because each may have its own passphrase.
    key: keys.map((key) => key.export({ type: 'pkcs8', format: 'pem' })),
    cert: [first, ...others].map(({ cert }) => nodePem(cert)),
  }
}

function privateKeyOf(what: string, { key, cert, passphrase }: KeyPair): KeyObject {
  const certificate = attempt(`the certificate for ${what} cannot be read`, () => new X509Certificate(nodePem(cert)))
  const privateKey = attempt(`the key for ${what} cannot be read`, () =>
    createPrivateKey({ key: nodePem(key), ...(passphrase !== undefined && { passphrase }) }),
  )
  if (certificate.checkPrivateKey(privateKey)) return privateKey
  throw new CertificateError(`the key for ${what} does not belong to its certificate`)
}

/** OpenSSL has TLS 1.0 and 1.1 only at its security level 0. BoringSSL, which Bun has, knows no levels. */
function ciphersOf(minVersion: SecureVersion, ciphers: string | undefined): SecureContextOptions {
  const given = ciphers === undefined ? {} : { ciphers }
  if (minVersion === 'TLSv1.2' || minVersion === 'TLSv1.3' || ciphers?.includes('@SECLEVEL') === true) return given
  const atLevel = { ciphers: `${ciphers ?? DEFAULT_CIPHERS}:@SECLEVEL=0` }
  try {
    createSecureContext(atLevel)
    return atLevel
  } catch {
    return given
  }
}

/** Makes a Buffer, because Node's types want one. */
function nodePem(pem: string | Uint8Array): string | Buffer {
  return typeof pem === 'string' ? pem : Buffer.from(pem)
}

function attempt<T>(what: string, run: () => T): T {
  try {
    return run()
  } catch (cause) {
    throw new CertificateError(`${what}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

function hostPattern(host: string): string {
  if (host.replace(/^\*\.(?=.)/, '').includes('*')) {
    throw new CertificateError(`sni '${host}': a '*' stands for the whole first label`)
  }
  return host.toLowerCase()
}
