/**
 * The inner stream: what the engine needs of a connection, and nothing of any runtime.
 *
 * It is a pull interface whose `read` may answer at once. That costs the same as raw socket callbacks and gives
 * back-pressure for free: what nobody reads, nobody receives. Web streams are a wrapper at the rim.
 *
 * Rules for whoever implements it:
 * - One reader and one writer. `read` is never called while an earlier `read` is pending, nor `write` while an earlier
 *   `write` is pending; but `write`, `end` and `destroy` may be called while a `read` is pending.
 * - Received bytes that nobody has read are bounded: past the bound the peer is made to wait.
 * - After `destroy`, or once the connection has failed, a pending `read` or `write` rejects, or `read` answers null;
 *   neither stays pending.
 */

/** One end of a connection. */
export interface Endpoint {
  readonly family: 'ipv4' | 'ipv6' | 'unix' | 'unknown'
  /** An IP address in text form, without brackets or zone; the path of a Unix socket; '' where it is not known. */
  readonly address: string
  /** 0 where there is none. */
  readonly port: number
}

/** What a TLS handshake agreed on. */
export interface TlsInfo {
  /** As OpenSSL names it: 'TLSv1.3'. '' where the runtime does not tell. */
  readonly protocol: string
  /** The IANA name of the cipher suite: 'TLS_AES_256_GCM_SHA384'. '' where the runtime does not tell. */
  readonly cipher: string
  /** The host name that the client asked for (SNI, RFC 6066 3). */
  readonly serverName?: string
  /** Present where the peer showed a certificate. */
  readonly peerCertificate?: PeerCertificate
}

/** The certificate that a peer showed in the handshake. */
export interface PeerCertificate {
  /** The distinguished name, one `KEY=value` a line. */
  readonly subject: string
  readonly issuer: string
  /** SHA-256 of the DER form, lower-case hexadecimal without colons. */
  readonly fingerprint: string
  /** Whether it chains to an authority that this listener trusts. */
  readonly verified: boolean
}

/** One connection, accepted or dialled. */
export interface Duplex {
  /**
   * Bytes received, or null once the peer has finished sending. Answers at once when bytes are waiting.
   * The view is valid until the next `read`.
   */
  read(): Uint8Array | null | Promise<Uint8Array | null>
  /** Hands bytes to the peer; from then on neither side changes them. A promise means: wait for it before writing more. */
  write(bytes: Uint8Array): void | Promise<void>
  /**
   * Present only where this connection can become TLS now. Bytes that were received but not read are dropped, and the
   * promise then rejects with {@link EarlyBytesError}: they came in clear and must never be taken for what TLS carried.
   *
   * With `received` the peer was to begin with TLS, and nothing came in clear: `received` is what has been read of its
   * handshake already (it may be empty), and what waits unread is the rest. So it is behind a PROXY protocol header.
   */
  readonly startTls?: ((received?: Uint8Array) => Promise<TlsInfo>) | undefined
  /**
   * Sends what was written, then closes. Resolves when the connection is closed. A peer that neither takes bytes nor closes
   * is not waited for long; one that goes on taking them is, until somebody calls `destroy`.
   */
  end(): Promise<void>
  /** Closes now; what was not sent is lost. May be called more than once. */
  destroy(reason?: Error): void
  readonly remote: Endpoint
  readonly local: Endpoint
  /** Present once the connection is TLS. */
  readonly tls?: TlsInfo | undefined
}

/** Something that accepts connections. */
export interface Listener {
  readonly address: Endpoint
  /** Stops accepting. Connections that were accepted live on. */
  close(): Promise<void>
}

/** Bytes were waiting in clear when TLS was to begin: STARTTLS injection (CVE-2011-0411), or a client that cannot wait. */
export class EarlyBytesError extends Error {
  override readonly name = 'EarlyBytesError'
  readonly byteLength: number
  constructor(byteLength: number) {
    super(`${byteLength} bytes arrived in clear before the TLS handshake`)
    this.byteLength = byteLength
  }
}
