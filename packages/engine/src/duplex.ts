/**
 * A duplex is what the engine needs of a connection. It names no runtime.
 * A caller pulls bytes with `read`, which may return them at once. This is as fast as the callbacks of a raw socket, and it
 * gives back-pressure: the peer has to wait if nobody reads. A Web stream is wrapped by an adapter outside the engine.
 * Rules for an implementation:
 * - There is one reader and one writer. The caller never calls `read` while an earlier `read` is pending, nor `write` while an
 *   earlier `write` is pending. It may call `write`, `end` and `destroy` while a `read` is pending.
 * - Received bytes that nobody has read are bounded. Over the bound, the peer has to wait.
 * - After `destroy`, or when the connection has failed, a pending `write` rejects, and a pending `read` rejects or resolves
 *   with null. Neither stays pending.
 */

/** One end of a connection. */
export interface Endpoint {
  readonly family: 'ipv4' | 'ipv6' | 'unix' | 'unknown'
  /** An IP address in text form, without brackets or zone, or the path of a Unix socket. '' if it is not known. */
  readonly address: string
  /** 0 if there is none. */
  readonly port: number
}

/** What the two ends agreed on in a TLS handshake. */
export interface TlsInfo {
  /** The version, named as OpenSSL does: 'TLSv1.3'. '' if the runtime does not tell. */
  readonly protocol: string
  /** The IANA name of the cipher suite: 'TLS_AES_256_GCM_SHA384'. '' if the runtime does not tell. */
  readonly cipher: string
  /** The host name that the client asked for (SNI, RFC 6066 3). */
  readonly serverName?: string
  /** Present if the peer showed a certificate. */
  readonly peerCertificate?: PeerCertificate
}

/** The certificate that a peer showed in the handshake. A text is '' if the runtime does not tell it. */
export interface PeerCertificate {
  /** The distinguished name, one `KEY=value` a line. */
  readonly subject: string
  readonly issuer: string
  /** SHA-256 of the DER form, lower-case hexadecimal without colons. */
  readonly fingerprint: string
  /** True if it chains to an authority that this listener trusts. */
  readonly verified: boolean
}

/** One connection, accepted or dialled. */
export interface Duplex {
  /**
   * Reads received bytes; null when the peer has finished sending. Returns at once if bytes are waiting. The view is valid
   * until the next `read`.
   */
  read(): Uint8Array | null | Promise<Uint8Array | null>
  /**
   * Sends bytes to the peer. After the call neither side changes them. If it returns a promise, the caller waits for it before
   * it writes more.
   */
  write(bytes: Uint8Array): void | Promise<void>
  /**
   * Makes this connection TLS. Present only if the connection can become TLS now. It drops bytes that were received but not
   * read, and the promise then rejects with {@link EarlyBytesError}: the bytes came in clear, so nobody may take them for bytes
   * that came under TLS.
   * With `received`, the peer has begun with TLS and has sent nothing in clear: after the header of the PROXY protocol, for
   * example. `received` is the part of its handshake that was read already, and may be empty. The unread bytes are the rest.
   */
  readonly startTls?: ((received?: Uint8Array) => Promise<TlsInfo>) | undefined
  /**
   * Sends what was written, then closes. Resolves when the connection is closed. If the peer neither takes bytes nor closes,
   * the connection is closed after a short wait. If the peer keeps taking bytes, it has time until somebody calls `destroy`.
   */
  end(): Promise<void>
  /** Closes now. Bytes that were not sent are lost. May be called more than once. */
  destroy(reason?: Error): void
  /**
   * Calls the listener once, as soon as it is known that nothing can be sent any more: the connection broke, or it is closed in both
   * directions. It calls it at once if that is known already. The peer's end alone does not count, because a peer may take replies
   * after its end. There is one listener: another call replaces it. It may not throw.
   *
   * Missing if this connection cannot tell. While received bytes are over their bound and nobody reads, it may be told late.
   */
  whenClosed?(listener: () => void): void
  readonly remote: Endpoint
  readonly local: Endpoint
  /** Present once the connection is TLS. */
  readonly tls?: TlsInfo | undefined
  /**
   * Returns the data of a channel binding type, for SCRAM-SHA-256-PLUS: 'tls-exporter' (RFC 9266) or 'tls-server-end-point'
   * (RFC 5929). Returns undefined for a type that this connection does not have. Missing if it has none, as in clear.
   */
  readonly channelBinding?: ((type: string) => Uint8Array | undefined) | undefined
  /**
   * Returns the certificates that the peer showed in the handshake, as DER, its own first. Authorities that this side added may follow.
   * Empty if the peer showed none. Missing in clear, and if the runtime does not tell.
   */
  readonly peerCertificates?: (() => readonly Uint8Array[]) | undefined
}

/** Accepts connections. */
export interface Listener {
  readonly address: Endpoint
  /** Stops accepting. Accepted connections stay open. */
  close(): Promise<void>
}

/**
 * Bytes were waiting in clear when TLS was to begin. The cause is STARTTLS injection (CVE-2011-0411), or a client that does not
 * wait.
 */
export class EarlyBytesError extends Error {
  override readonly name = 'EarlyBytesError'
  readonly byteLength: number
  constructor(byteLength: number) {
    super(`${byteLength} bytes arrived in clear before the TLS handshake`)
    this.byteLength = byteLength
  }
}
