/** The engine's own mechanisms on the client's side, the best first, and the choice among them. */
import { upperCase } from '../../protocol/bytes/ascii.ts'
import { oauthBearer, xoauth2 } from './bearer.ts'
import { cramMd5 } from './cram-md5.ts'
import { external } from './external.ts'
import { login } from './login.ts'
import { type ClientCredentials, type ClientMechanism, type ClientSaslPeer, MechanismError } from './mechanism.ts'
import { plain } from './plain.ts'
import { makeScram } from './scram.ts'

export const CLIENT_MECHANISMS: readonly ClientMechanism[] = [
  external,
  makeScram({ bindsChannel: true }),
  makeScram({ bindsChannel: false }),
  oauthBearer,
  xoauth2,
  cramMd5,
  plain,
  login,
]

export interface MechanismChoice {
  /** The connection is TLS. */
  readonly isSecure: boolean
  /** Lets a mechanism show a secret in clear. Default: false. */
  readonly allowSecretInClear?: boolean
  /** Names, and mechanisms of one's own, the best first. Default: {@link CLIENT_MECHANISMS}. */
  readonly mechanisms?: readonly (string | ClientMechanism)[]
}

/**
 * Chooses the best mechanism that the server offers, and for which credentials and connection suffice.
 * @param offered The arguments of AUTH in the server's EHLO
 * @throws MechanismError that says why there is none
 * @throws TypeError if `mechanisms` has a name that the engine does not know
 */
export function chooseMechanism(
  offered: readonly string[],
  credentials: ClientCredentials,
  peer: Pick<ClientSaslPeer, 'channelBinding'>,
  { isSecure, allowSecretInClear = false, mechanisms }: MechanismChoice,
): ClientMechanism {
  const names = new Set(offered.map(upperCase))
  const own = mechanisms === undefined ? CLIENT_MECHANISMS : mechanisms.map(mechanismOf)
  const known = own.filter(({ name }) => names.has(name))
  const fitting = known.filter(
    (mechanism) =>
      mechanism.isSupported(credentials) && (mechanism.needs === undefined || peer.channelBinding !== undefined),
  )
  const chosen = fitting.find(({ showsSecret }) => isSecure || allowSecretInClear || !showsSecret)
  if (chosen !== undefined) return chosen
  if (fitting.length > 0)
    throw new MechanismError(`${listed(fitting)} would show a secret, because the connection is not TLS`)
  if (known.length > 0) throw new MechanismError(`the credentials do not fit what the server offers: ${listed(known)}`)
  throw new MechanismError('the server offers no mechanism that the client knows')
}

/** @throws TypeError if nobody knows the name */
export function mechanismOf(given: string | ClientMechanism): ClientMechanism {
  if (typeof given !== 'string') return given
  const found = CLIENT_MECHANISMS.find(({ name }) => name === upperCase(given))
  if (found !== undefined) return found
  throw new TypeError(`mechanisms: ${JSON.stringify(given)} is not one of ${listed(CLIENT_MECHANISMS)}`)
}

function listed(mechanisms: readonly ClientMechanism[]): string {
  return mechanisms.map(({ name }) => name).join(', ')
}
