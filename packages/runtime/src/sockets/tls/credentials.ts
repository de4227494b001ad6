/**
 * The certificates of a listener. They are checked when they are given, and may be replaced while connections are open.
 * They are the same on every runtime that has `node:tls`. Each runtime makes its handshake with them in its own way.
 */
import { acrossCopies } from '@postern/engine'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions, type SecureVersion } from 'node:tls'

/** A private key and its certificate chain, both PEM. */
export interface KeyPair {
  readonly key: string | Uint8Array
  /** The certificate, followed by the certificates up to the authority. */
  readonly cert: string | Uint8Array
  /** For an encrypted key. */
  readonly passphrase?: string | undefined
}

/** A listener's options for STARTTLS or implicit TLS. */
export interface TlsOptions extends KeyPair {
  /** Authorities that client certificates must chain to, PEM. Default: those that the runtime trusts. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined
  /** Default 'TLSv1.2'. */
  readonly minVersion?: SecureVersion | undefined
  /**
   * 'request' asks clients for a certificate, and `peerCertificate.verified` says if it chains to `ca`. 'require'
   * refuses a client without such a certificate. Default 'none'.
   */
  readonly clientCertificates?: 'none' | 'request' | 'require' | undefined
  /** Other certificates by the host name that the client asks for. In `*.example.com`, the `*` stands for one label. */
  readonly sni?: Readonly<Record<string, KeyPair>> | undefined
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

function secureContext(host: string, pair: KeyPair, options: TlsOptions): SecureContext {
  return createSecureContext(contextOptions(`'${host}'`, pair, options))
}

/**
 * Makes the options of a context. Checks that key and certificate belong together, because OpenSSL would check it only
 * in a handshake.
 */
function contextOptions(what: string, pair: KeyPair, options: TlsOptions): SecureContextOptions {
  const { ca, minVersion = 'TLSv1.2' } = options
  const key = nodePem(pair.key)
  const cert = nodePem(pair.cert)
  const passphrase = pair.passphrase === undefined ? {} : { passphrase: pair.passphrase }
  const certificate = attempt(`the certificate for ${what} cannot be read`, () => new X509Certificate(cert))
  const privateKey = attempt(`the key for ${what} cannot be read`, () => createPrivateKey({ key, ...passphrase }))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new CertificateError(`the key for ${what} does not belong to its certificate`)
  }
  const authorities = ca === undefined ? {} : { ca: [ca].flat().map(nodePem) }
  // OpenSSL skips an authority that it cannot read. Then it would trust no client.
  for (const pem of authorities.ca ?? []) attempt('an authority in ca cannot be read', () => new X509Certificate(pem))
  const all = { ...options.secureContext, key, cert, ...passphrase, minVersion, ...authorities }
  attempt(`the certificate for ${what} cannot be used`, () => createSecureContext(all))
  return all
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
