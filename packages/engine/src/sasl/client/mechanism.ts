/**
 * The interface of the client's side of a SASL mechanism (RFC 4422). A mechanism takes and returns octets, and does no I/O.
 * The option `mechanisms` takes a mechanism of your own.
 */
import { acrossCopies } from '../../copies.ts'
import type { Duplex } from '../../duplex.ts'

/** What the client logs in with. It uses the best mechanism on offer for which the credentials suffice. */
export interface ClientCredentials {
  readonly username?: string
  readonly password?: string
  /** The user that the client wants to act as. Default: the user that the credentials belong to. */
  readonly authorizationId?: string
  /** An OAuth access token, or a function that fetches one. The function is asked once more after a refusal. */
  readonly accessToken?: string | (() => string | Promise<string>)
  /** EXTERNAL: the certificate that the client showed in the TLS handshake names the user. */
  readonly external?: boolean
}

export interface ClientMechanism {
  /** In upper case (RFC 4422 3.1). */
  readonly name: string
  /** True if an eavesdropper can read a password or a token. The client then uses it only under TLS, unless it may show secrets in clear. */
  readonly showsSecret: boolean
  /** What the connection must have. Default: nothing. */
  readonly needs?: 'channel-binding'
  /** Returns whether the credentials have what the mechanism needs. */
  isSupported(credentials: ClientCredentials): boolean
  /** Begins an exchange. */
  start(credentials: ClientCredentials, peer: ClientSaslPeer): ClientExchange
}

/** What the client knows of the connection before the login. */
export interface ClientSaslPeer {
  /** The server as the client dialled it. */
  readonly host: string
  /** 0 if there is none. */
  readonly port: number
  /** Present if the connection has channel binding. Returns undefined for a type that it does not have. */
  readonly channelBinding?: Duplex['channelBinding']
  /** True if the server offers a mechanism that needs channel binding: one whose name ends in -PLUS. */
  readonly offersChannelBinding: boolean
}

/** One run of a mechanism. It throws {@link MechanismError} if the server does what the mechanism does not allow. */
export interface ClientExchange {
  /** Returns the initial response; undefined if the server speaks first. It is called once, before `next`. */
  initial(): Uint8Array | undefined | Promise<Uint8Array | undefined>
  /** Returns the response to a challenge. */
  next(challenge: Uint8Array): Uint8Array | Promise<Uint8Array>
  /** Is called when the server has accepted the login. Throws if the server has not proved itself. */
  succeeded?(): void
}

/** The login cannot go on: the server is wrong, or the credentials cannot be written in this mechanism. */
export class MechanismError extends Error {
  override readonly name = 'MechanismError'
}
acrossCopies(MechanismError, 'MechanismError')
