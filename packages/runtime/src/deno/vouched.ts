/**
 * Client certificates and sessions that are taken up again.
 *
 * A client may take up an earlier session in place of a whole handshake, and shows no certificate then: TLS has the old one.
 * Deno (2.9) has forgotten what it thought of it, and calls every one trusted. So whom a whole handshake trusted is kept here,
 * and of a session that was taken up nobody else is believed.
 */
import type { TLSSocket } from 'node:tls'

/** Who is forgotten is not believed before the next whole handshake. */
const MAX_CERTIFICATES = 10_000

export class Vouched {
  readonly #isRequired: boolean
  /** SHA-256 of certificates that chain to an authority; the longest unseen first. */
  readonly #fingerprints = new Set<string>()

  constructor(isRequired: boolean) {
    this.#isRequired = isRequired
  }

  /** Corrects what is said of the client's certificate. Answers why the client is refused after all, where it is. */
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
