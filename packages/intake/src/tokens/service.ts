/** The service that knows the tokens cannot be asked now, or answers nonsense. The client gets `454 4.7.0`. */
export class TokenServiceError extends Error {
  override readonly name = 'TokenServiceError'
}

/** How long a service may take. It is less than the time that the engine waits for a login. */
export const TIMEOUT_MS = 5_000

/** @throws TypeError if it is not a URL of HTTPS, or of HTTP on this machine */
export function serviceUrl(field: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isLocal = url !== undefined && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLocal)) return url
  throw new TypeError(`${field}: ${JSON.stringify(text)} is not a URL of https:`)
}

/** Returns the claims of a valid token; undefined for another one. @throws TokenServiceError if it cannot be checked now */
export type TokenVerifier = (token: string) => Promise<Readonly<Record<string, unknown>> | undefined>
