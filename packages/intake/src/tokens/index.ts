/**
 * `@postern/intake/tokens`: checks the tokens of OAUTHBEARER and XOAUTH2: JWTs by the issuer's public keys (RFC 7519, RFC 7517), or any
 * token by asking the issuer (RFC 7662). It runs on every runtime.
 */
import type { Accounts, User } from '@postern/engine'
import { introspector, type IntrospectionOptions } from './introspection.ts'
import { jwtVerifier, type JwtOptions } from './jwt.ts'

export { TokenServiceError } from './service.ts'
export type { TokenVerifier } from './service.ts'
export type { IntrospectionOptions } from './introspection.ts'
export type { JwtOptions } from './jwt.ts'

export interface TokenOptions {
  /** Checks JWTs. */
  readonly jwt?: JwtOptions
  /** Asks the issuer. If `jwt` is there too, it is asked only about tokens that are not JWTs. */
  readonly introspection?: IntrospectionOptions
  /** The claim that names the user. Default 'email'; for introspection also 'username'. */
  readonly userClaim?: string
}

/**
 * Makes the `checkToken` of accounts. A client that names a user must name the token's.
 * @throws TypeError on an invalid option
 */
export function tokenAccounts({ jwt, introspection, userClaim }: TokenOptions): Required<Pick<Accounts, 'checkToken'>> {
  const verify = jwt && jwtVerifier(jwt)
  const ask = introspection && introspector(introspection)
  if (verify === undefined && ask === undefined) throw new TypeError('tokens: neither jwt nor introspection is given')
  const claimNames = userClaim === undefined ? ['email', 'username'] : [userClaim]
  return {
    async checkToken(token, username) {
      const check = isJwt(token) ? (verify ?? ask) : ask
      const claims = await check?.(token)
      const user = claimNames.map((name) => claims?.[name]).find((value) => typeof value === 'string' && value !== '')
      return typeof user === 'string' ? userOf(user, username, claims) : undefined
    },
  }
}

/** Returns whether a token has the three parts of a JWT (RFC 7515 3.1). */
function isJwt(token: string): boolean {
  return token.split('.').length === 3 && /^[\w.-]+$/.test(token)
}

function userOf(
  user: string,
  username: string,
  claims: Readonly<Record<string, unknown>> | undefined,
): User | undefined {
  // Whoever controls an address that nobody has checked could name any.
  // Some issuers write 'false' as a text.
  if (claims?.['email'] === user && String(claims['email_verified']) === 'false') return undefined
  return username === '' || username.toLowerCase() === user.toLowerCase() ? { user } : undefined
}
