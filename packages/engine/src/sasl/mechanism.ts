/**
 * What a SASL mechanism is (RFC 4422), and what it asks accounts: octets in and out, no I/O.
 *
 * A mechanism of your own goes into `auth.mechanisms`. It is on offer if the accounts have what it asks for.
 */
import type { PeerCertificate } from '../duplex.ts'
import type { Reply } from '../protocol/grammar/reply.ts'

export interface Mechanism {
  /** In upper case (RFC 4422 3.1). */
  readonly name: string
  /** Whether those who listen read the password. Then it is on offer under TLS alone, unless `allowWithoutTls`. */
  readonly showsPassword: boolean
  /** Returns whether these accounts can answer for it. */
  isSupported(accounts: Accounts): boolean
  /** Begins an exchange. */
  start(accounts: Accounts, peer: SaslPeer): Exchange
}

/** Who the client is, as far as is known before it logs in. */
export interface SaslPeer {
  /** Present where the client showed a certificate in the TLS handshake. */
  readonly certificate?: PeerCertificate
}

/** One run of a mechanism. */
export interface Exchange {
  /**
   * Takes the client's next response; undefined if it sent no initial one. It may answer later. If it throws, the client gets
   * `454 4.7.0`, and the error goes to `error`.
   */
  next(response: Uint8Array | undefined): Step | Promise<Step>
}

/** What comes next in an exchange. */
export type Step =
  /** The client is to respond to this. */
  | { readonly challenge: Uint8Array }
  /** Success: who the client is. */
  | { readonly user: string }
  /** The client is refused: `535 5.7.8`, or this reply. */
  | { readonly isRefused: true; readonly reply?: Reply }
  /** The response makes no sense: `501 5.5.2`. It counts as a bad command, not as a failed login. */
  | { readonly isMalformed: true }

/** What mechanisms ask to find out who a client is. Each method is optional: what is on offer follows from those that are there. */
export interface Accounts {
  /** PLAIN, LOGIN. A `Reply` refuses with its words. */
  checkPassword?(login: PasswordLogin): User | Reply | undefined | Promise<User | Reply | undefined>
  /** CRAM-MD5. */
  sharedSecret?(username: string): string | undefined | Promise<string | undefined>
  /** SCRAM. `hash` is as in the mechanism's name: 'SHA-256'. */
  scramKeys?(username: string, hash: string): ScramKeys | undefined | Promise<ScramKeys | undefined>
  /** XOAUTH2, OAUTHBEARER. */
  checkToken?(token: string, username: string): User | undefined | Promise<User | undefined>
  /** EXTERNAL. */
  certificateUser?(certificate: PeerCertificate): User | undefined | Promise<User | undefined>
}

export interface User {
  readonly user: string
}

/** What a client showed to prove who it is. */
export interface PasswordLogin {
  readonly mechanism: string
  /** Whose password this is (authcid). */
  readonly username: string
  readonly password: string
  /** Who the client wants to act as (authzid); '' for the same as `username`. */
  readonly authorizationId: string
}

/** What a server keeps of a password for SCRAM (RFC 5802 3). */
export interface ScramKeys {
  readonly salt: Uint8Array
  readonly iterations: number
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
}
