/** Asks the issuer about a token: RFC 7662. */
import { serviceUrl, TIMEOUT_MS, TokenServiceError, type TokenVerifier } from './service.ts'

export interface IntrospectionOptions {
  readonly url: string
  /** The credentials of this server at the issuer, sent by HTTP's Basic. */
  readonly clientId: string
  readonly clientSecret: string
  /** A valid token is not asked about again for this time, nor after it has expired. Default 60 s; 0 asks each time. */
  readonly cacheMs?: number
}

interface Known {
  readonly claims: Readonly<Record<string, unknown>>
  readonly untilMs: number
}

const CACHE_MS = 60_000
const MAX_CACHED = 1_000
const MAX_ANSWER_BYTES = 64 * 1024
const encoder = new TextEncoder()

/** @throws TypeError on an invalid option */
export function introspector({ url, clientId, clientSecret, cacheMs = CACHE_MS }: IntrospectionOptions): TokenVerifier {
  const service = serviceUrl('introspection.url', url)
  const basic = [clientId, clientSecret].map(encodeURIComponent).join(':')
  const headers = { authorization: `Basic ${btoa(basic)}`, accept: 'application/json' }
  /** By the SHA-256 of the token, the oldest first. */
  const cache = new Map<string, Known>()

  return async (token) => {
    const key = await keyOf(token)
    const known = cache.get(key)
    if (known !== undefined && known.untilMs > Date.now()) return known.claims
    cache.delete(key)
    const claims = await ask(service, headers, token)
    if (claims['active'] !== true) return undefined
    const { exp } = claims
    const expiresMs = typeof exp === 'number' ? exp * 1000 : Infinity
    if (expiresMs <= Date.now()) return undefined
    cache.set(key, { claims, untilMs: Math.min(expiresMs, Date.now() + cacheMs) })
    if (cache.size > MAX_CACHED) {
      const [oldest] = cache.keys()
      cache.delete(oldest as string)
    }
    return claims
  }
}

/** @throws TokenServiceError */
async function ask(
  url: URL,
  headers: Readonly<Record<string, string>>,
  token: string,
): Promise<Readonly<Record<string, unknown>>> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers,
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    if (!response.ok) throw new Error(`it answered ${response.status}`)
    const answer = parseJson(await textOf(response))
    if (typeof answer === 'object' && answer !== null) return answer as Readonly<Record<string, unknown>>
    throw new Error('it did not answer an object')
  } catch (cause) {
    throw new TokenServiceError(`${url.href} cannot be asked about a token: ${(cause as Error).message}`, { cause })
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The error of `JSON.parse` quotes the answer, which may repeat the token.
    throw new Error('it did not answer JSON')
  }
}

/** Reads the body, up to a bound. */
async function textOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > MAX_ANSWER_BYTES) throw new Error(`its answer has more than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return new Blob(chunks as Uint8Array<ArrayBuffer>[]).text()
}

/** The cache holds no token. */
async function keyOf(token: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', encoder.encode(token))
  return btoa(String.fromCharCode(...new Uint8Array(hash)))
}
