/** Checks JWTs by the public keys of their issuer. */
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import { serviceUrl, TIMEOUT_MS, TokenServiceError, type TokenVerifier } from './service.ts'

export interface JwtOptions {
  /** The URL of the issuer's public keys (JWKS). */
  readonly jwks: string
  /** The `iss` that a token must have. */
  readonly issuer: string
  /** The `aud` that a token must have: one of these. Without it, a token for any other service would log in here. */
  readonly audience: string | readonly string[]
}

/** Keys are asked for again after this time, or when a token names an unknown key, but not more often than {@link COOLDOWN_MS}. */
const MAX_KEY_AGE_MS = 600_000
const COOLDOWN_MS = 30_000
/** Clocks differ. */
const CLOCK_TOLERANCE_SECONDS = 30

/** @throws TypeError on an invalid option */
export function jwtVerifier({ jwks, issuer, audience }: JwtOptions): TokenVerifier {
  for (const [field, value] of Object.entries({ issuer, audience })) {
    if (value.length === 0 || [value].flat().includes('')) throw new TypeError(`jwt.${field}: is missing`)
  }
  const keys = createRemoteJWKSet(serviceUrl('jwt.jwks', jwks), {
    timeoutDuration: TIMEOUT_MS,
    cacheMaxAge: MAX_KEY_AGE_MS,
    cooldownDuration: COOLDOWN_MS,
  })
  return async (token) => {
    try {
      const options = { issuer, audience: [audience].flat() as string[], clockTolerance: CLOCK_TOLERANCE_SECONDS }
      const { payload } = await jwtVerify(token, keys, { ...options, requiredClaims: ['exp'] })
      return payload
    } catch (error) {
      if (isWrongToken(error)) return undefined
      throw new TokenServiceError(`the keys at ${jwks} cannot be had`, { cause: error })
    }
  }
}

function isWrongToken(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return false
  // These say that the service is away, or answers nonsense. Plain JOSEError is what jose throws for an answer that is not 200 or not JSON.
  const isService =
    error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid || error.code === errors.JOSEError.code
  return !isService
}
