/**
 * Client certificates and resumed sessions.
 *
 * A client may resume an earlier session in place of a full handshake. It shows no certificate then, and TLS takes the old one.
 * Deno (2.9) does not remember whether it trusted that, and calls every certificate of a resumed session trusted. So the
 * certificates that full handshakes trusted are kept here. In a resumed session, only those are trusted.
 */
import type { TLSSocket } from 'node:tls'

/** A certificate that was dropped is not trusted before the next full handshake. */
const MAX_CERTIFICATES = 10_000

export class Vouched {
  readonly #isRequired: boolean
  /** SHA-256 of certificates that chain to an authority. The one that was not seen for longest is first. */
  readonly #fingerprints = new Set<string>()

  constructor(isRequired: boolean) {
    this.#isRequired = isRequired
  }

  /** Corrects what the socket says of the client's certificate. Returns why the client is refused, or undefined if it is not. */
  look(socket: TLSSocket): Error | undefined {
    const fingerprint = socket.getPeerX509Certificate()?.fingerprint256
    if (fingerprint === undefined || !socket.authorized) return
    if (socket.isSessionReused() && !this.#fingerprints.has(fingerprint)) {
      socket.authorized = false
      return this.#isRequired ? new Error('the certificate of the session that was taken up is not trusted') : undefined
    }
    this.#fingerprints.delete(fingerprint)
    this.#fingerprints.add(fingerprint)
    const [oldest] = this.#fingerprints
    if (oldest !== undefined && this.#fingerprints.size > MAX_CERTIFICATES) this.#fingerprints.delete(oldest)
  }
}
