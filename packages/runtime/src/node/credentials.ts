/**
 * What a listener shows in a TLS handshake, and how it is replaced while connections live.
 *
 * Handshakes are made by a `tls.Server` that listens nowhere: Node lets one inject connections (its 'connection' event), and
 * then does the whole of it, client certificates and SNI included. New certificates are a new such server.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type SecureVersion,
  type Server,
  type TlsOptions as NodeTlsOptions,
  type TLSSocket,
} from 'node:tls'

/** A private key and its certificate chain, both PEM. */
export interface KeyPair {
  readonly key: string | Uint8Array
  /** The certificate, then those that lead to the authority. */
  readonly cert: string | Uint8Array
  /** Where the key is encrypted. */
  readonly passphrase?: string | undefined
}

/** What a listener needs for STARTTLS or implicit TLS. */
export interface TlsOptions extends KeyPair {
  /** Authorities that client certificates are checked against, PEM. Default: those that Node trusts. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined
  /** Default 'TLSv1.2'. */
  readonly minVersion?: SecureVersion | undefined
  /**
   * 'request' asks for one, and `peerCertificate.verified` tells what to think of it; 'require' lets nobody in without one
   * that chains to `ca`. Default 'none'.
   */
  readonly clientCertificates?: 'none' | 'request' | 'require' | undefined
  /** Other certificates by the host name that the client asks for; `*.example.com` stands for one label. */
  readonly sni?: Readonly<Record<string, KeyPair>> | undefined
  /** ALPN protocols, by preference; a client that offers only others is refused. Default: ALPN is not answered. */
  readonly alpn?: readonly string[] | undefined
  /** Anything else that `tls.createSecureContext` takes, for all the certificates here. */
  readonly secureContext?: SecureContextOptions | undefined
}

/** A key or certificate that cannot be used. `cause` is what OpenSSL said. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError'
}

interface Wait {
  readonly resolve: (socket: TLSSocket) => void
  readonly reject: (error: Error) => void
}

/** Certificates that listeners share, and that can be replaced at any time. */
export class TlsCredentials {
  #server: Server
  readonly #waiting = new WeakMap<Socket, Wait>()

  /** @throws CertificateError */
  constructor(options: TlsOptions) {
    this.#server = this.#handshaker(options)
  }

  /**
   * Handshakes from now on use these; connections that are open live on.
   * @throws CertificateError, and everything stays as it was
   */
  update(options: TlsOptions): void {
    this.#server = this.#handshaker(options)
  }

  /** Makes the server's side of a handshake. Where it fails, the socket is destroyed. */
  handshake(socket: Socket): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      if (socket.destroyed) return reject(new Error('the connection was closed'))
      // A peer that leaves in the middle is gone; half of a connection is no use here yet.
      socket.allowHalfOpen = false
      this.#waiting.set(socket, { resolve, reject })
      this.#server.emit('connection', socket)
    })
  }

  #handshaker(options: TlsOptions): Server {
    const { clientCertificates = 'none', alpn } = options
    if (!['none', 'request', 'require'].includes(clientCertificates)) {
      throw new TypeError(`clientCertificates: '${clientCertificates}' is not 'none', 'request' or 'require'`)
    }
    const contexts = new Map(
      Object.entries(options.sni ?? {}).map(([host, pair]) => [hostPattern(host), secureContext(host, pair, options)]),
    )
    const server = createServer({
      ...contextOptions('the listener', options, options),
      requestCert: clientCertificates !== 'none',
      rejectUnauthorized: clientCertificates === 'require',
      ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
      ...(contexts.size === 0 ? {} : { SNICallback: chooser(contexts) }),
    })
    server.on('secureConnection', (socket: TLSSocket) => this.#waiterOf(socket)?.resolve(socket))
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      this.#waiterOf(socket)?.reject(error)
      socket.destroy()
    })
    return server
  }

  #waiterOf(socket: TLSSocket): Wait | undefined {
    // Node has no public name for the socket underneath; this one is as old as TLSSocket.
    const { _parent: raw } = socket as TLSSocket & { readonly _parent: Socket }
    const waiter = this.#waiting.get(raw)
    this.#waiting.delete(raw)
    return waiter
  }
}

function secureContext(host: string, pair: KeyPair, options: TlsOptions): SecureContext {
  return createSecureContext(contextOptions(`'${host}'`, pair, options))
}

/** Checks what OpenSSL would only find out in a handshake: that key and certificate belong together. */
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
  // OpenSSL passes over what it cannot read, and would then know nobody.
  for (const pem of authorities.ca ?? []) attempt('an authority in ca cannot be read', () => new X509Certificate(pem))
  const all = { ...options.secureContext, key, cert, ...passphrase, minVersion, ...authorities }
  attempt(`the certificate for ${what} cannot be used`, () => createSecureContext(all))
  return all
}

/** Node's types know no bytes but Buffer. */
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

/** Chooses the certificate for exactly this name, or for `*` in place of its first label; else it is the default one. */
function chooser(contexts: ReadonlyMap<string, SecureContext>): NonNullable<NodeTlsOptions['SNICallback']> {
  return (name, done) => {
    const host = name.toLowerCase()
    done(null, contexts.get(host) ?? contexts.get(host.replace(/^[^.]+/, '*')))
  }
}
