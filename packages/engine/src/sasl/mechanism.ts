/**
 * The interface of a SASL mechanism (RFC 4422), and what a mechanism asks accounts. A mechanism takes and returns
 * octets, and does no I/O.
 * `auth.mechanisms` takes a mechanism of your own. The server offers it if the accounts have the methods that it needs.
 */
import type { Duplex, PeerCertificate } from '../duplex.ts'
import type { Reply } from '../protocol/grammar/reply.ts'

export interface Mechanism {
  /** In upper case (RFC 4422 3.1). */
  readonly name: string
  /**
   * True if an eavesdropper can read the password. The server then offers it only under TLS, unless `allowWithoutTls`
   * is set.
   */
  readonly showsPassword: boolean
  /**
   * What the connection must have: a client certificate that was verified, or channel binding (RFC 5056). Without it
   * the server does not offer the mechanism on that connection. Default: nothing.
   */
  readonly needs?: 'certificate' | 'channel-binding'
  /** Returns whether these accounts have the methods that the mechanism needs. */
  isSupported(accounts: Accounts): boolean
  /** Begins an exchange. */
  start(accounts: Accounts, peer: SaslPeer): Exchange
}

/** What the server knows of the connection before the login. */
export interface SaslPeer {
  /** The server's name. */
  readonly hostname: string
  /** Present if the client showed a certificate in the TLS handshake, verified or not. */
  readonly certificate?: PeerCertificate
  /** Present if the connection has channel binding. Returns undefined for a type that it does not have. */
  readonly channelBinding?: Duplex['channelBinding']
  /** True if a mechanism that needs channel binding is on offer on this connection. */
  readonly offersChannelBinding: boolean
}

/** One run of a mechanism. */
export interface Exchange {
  /**
   * Takes the client's next response; undefined if the client sent no initial one. It may return a promise. If it
   * throws, the client gets `454 4.7.0`, and the `error` hook gets the error.
   */
  next(response: Uint8Array | undefined): Step | Promise<Step>
}

/** The next step of an exchange. */
export type Step =
  /** The client must respond to this challenge. */
  | { readonly challenge: Uint8Array }
  /** Success: the client is logged in as `user`. */
  | { readonly user: string }
  /** The client is refused: `535 5.7.8`, or this reply. */
  | { readonly isRefused: true; readonly reply?: Reply }
  /** The response is malformed: `501 5.5.2`. It counts as a bad command, not as a failed login. */
  | { readonly isMalformed: true }

/** Accounts as mechanisms see them. Each method is optional. The server offers the mechanisms whose methods are present. */
export interface Accounts {
  /** For PLAIN and LOGIN. Return a `Reply` to refuse with your own text. */
  checkPassword?(login: PasswordLogin): User | Reply | undefined | Promise<User | Reply | undefined>
  /** For CRAM-MD5: the password in clear. Return undefined if the user has none, or is unknown. */
  sharedSecret?(username: string): string | undefined | Promise<string | undefined>
  /**
   * For SCRAM. `hash` is written as in the mechanism's name: 'SHA-256'. Return undefined for an unknown user: the
   * mechanism then goes on with keys that no password fits, with the same salt each time, so that a client cannot tell.
   */
  scramKeys?(username: string, hash: 'SHA-256'): ScramKeys | undefined | Promise<ScramKeys | undefined>
  /**
   * For XOAUTH2 and OAUTHBEARER. `username` is the user that the client names; '' if it names none, as OAUTHBEARER
   * allows. Return a `Reply` or a {@link TokenRefusal} to refuse in your own way.
   */
  checkToken?(token: string, username: string): TokenAnswer | Promise<TokenAnswer>
  /** For EXTERNAL. It is called only with a certificate that was verified. */
  certificateUser?(certificate: PeerCertificate): User | undefined | Promise<User | undefined>
}

export interface User {
  readonly user: string
}

export type TokenAnswer = User | Reply | TokenRefusal | undefined

/**
 * The error that the client gets as JSON before its `535` (RFC 7628 3.2.2, and the documentation of XOAUTH2). Other
 * fields are sent too.
 */
export interface TokenRefusal {
  /** 'invalid_token' for OAUTHBEARER, '401' for XOAUTH2. */
  readonly status: string
  readonly schemes?: string
  readonly scope?: string
}

/** The password that a client showed, and the names with it. */
export interface PasswordLogin {
  readonly mechanism: string
  /** The user that the password belongs to (authcid). */
  readonly username: string
  readonly password: string
  /** The user that the client wants to act as (authzid); '' for the same as `username`. */
  readonly authorizationId: string
}

/** The keys that a server stores for SCRAM in place of a password (RFC 5802 3). */
export interface ScramKeys {
  readonly salt: Uint8Array
  readonly iterations: number
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
  /** The user that the client is logged in as. Default: the name that the client gave. */
  readonly user?: string
}
