/**
 * Client certificates in resumed sessions.
 * A client may resume an earlier session in place of a full handshake. It then shows no certificate, and TLS reports
 * the old one. Deno (2.9) does not remember if that certificate was trusted, and reports the certificate of every
 * resumed session as trusted. So this class keeps the certificates that were trusted in a full handshake. In a resumed
 * session, only these are trusted.
 */
import type { TLSSocket } from 'node:tls'

/** If a certificate is dropped, it is not trusted before the next full handshake. */
const MAX_CERTIFICATES = 10_000

export class Vouched {
  readonly #isRequired: boolean
  /** SHA-256 of certificates that chain to an authority. The first is the one that was not used for the longest time. */
  readonly #fingerprints = new Set<string>()

  constructor(isRequired: boolean) {
    this.#isRequired = isRequired
  }

  /**
   * Corrects what the socket reports about the client's certificate. Returns why the client is refused, or undefined if
   * it is not.
   */
  look(socket: TLSSocket): Error | undefined {
    const fingerprint = socket.getPeerX509Certificate()?.fingerprint256
    if (fingerprint === undefined || !socket.authorized) return
    if (socket.isSessionReused() && !this.#fingerprints.has(fingerprint)) {
      socket.authorized = false
      return this.#isRequired ? new Error('the certificate of the resumed session is not trusted') : undefined
    }
    this.#fingerprints.delete(fingerprint)
    this.#fingerprints.add(fingerprint)
    const [oldest] = this.#fingerprints
    if (oldest !== undefined && this.#fingerprints.size > MAX_CERTIFICATES) this.#fingerprints.delete(oldest)
  }
}
