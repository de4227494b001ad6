/**
 * How a front authenticates: it signs the facts of a connection (JWT, HS256) in a header of the WebSocket's request. A
 * token opens one pipe, within a minute, at the place that it names. The guard checks it before the WebSocket is
 * accepted.
 */
import { acrossCopies } from '@postern/engine'
import { errors, jwtVerify, SignJWT } from 'jose'
import { type PipeFacts, readFacts } from './facts.ts'

/** How long a token is valid. */
export const TOKEN_SECONDS = 60
/** How far the clocks of a front and a server may differ. */
const CLOCK_TOLERANCE_SECONDS = 10
/** For HMAC with SHA-256 (RFC 7518 3.2). */
const MIN_SECRET_BYTES = 32
/** Longer tokens, in characters, are refused without being read. */
const MAX_TOKEN_LENGTH = 12_288
const ISSUER = 'postern-front'

/** The guard refuses a request. The message says why, for the log. Answer the client with `status` and nothing else. */
export class PipeRefusedError extends Error {
  static {
    acrossCopies(this, 'PipeRefusedError')
  }
  override readonly name = 'PipeRefusedError'
  /** 401, or 503 if no more tokens can be remembered. */
  readonly status: 401 | 503
  constructor(message: string, status: 401 | 503 = 401, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

/** Remembers tokens, so that no token opens a second pipe. */
export interface TokenMemory {
  /** Adds a token. Returns whether it is seen for the first time. It may be dropped after `expiresAtMs`, in ms since 1970. */
  add(id: string, expiresAtMs: number): boolean | Promise<boolean>
}

export interface FrontGuardOptions {
  /** The secrets that fronts may sign with, at least 32 bytes each; two while one replaces the other. */
  readonly secrets: string | readonly string[]
  /**
   * The name that fronts use for this place: host and path, as in `mail.example.com/pipe`. Default: the host and the
   * path of each request. The default is enough if only the network decides which requests come here: on a Worker, or
   * on a host of its own.
   */
  readonly audience?: string | readonly string[] | undefined
  /**
   * Guards of several addresses or threads share one, so that a token opens only one pipe at all of them. Default: a
   * {@link tokenMemory}.
   */
  readonly memory?: TokenMemory | undefined
}

/** A WebSocket request: a `Request`, or these parts of one. */
export interface PipeRequest {
  /** The whole URL. */
  readonly url: string
  readonly headers: { get(name: string): string | null }
}

/** Admits fronts only. */
export interface FrontGuard {
  /**
   * Returns the front's facts about its client. Call it before the WebSocket is accepted.
   * @throws PipeRefusedError
   */
  admit(request: PipeRequest): Promise<PipeFacts>
}

/** Makes a guard. @throws RangeError if a secret is too short */
export function frontGuard(options: FrontGuardOptions): FrontGuard {
  const keys = [options.secrets].flat().map(secretKey)
  if (keys.length === 0) throw new RangeError('secrets: at least one')
  const memory = options.memory ?? tokenMemory()
  return {
    async admit(request) {
      const token = bearerToken(request)
      const audience = options.audience === undefined ? pipeAudience(request.url) : [options.audience].flat()
      const { jti, exp, pipe } = await claims(token, keys, audience)
      const facts = readFacts(pipe)
      if (facts === undefined) throw new PipeRefusedError('its claims do not describe a pipe')
      if (!(await memory.add(jti, (exp + CLOCK_TOLERANCE_SECONDS) * 1_000))) {
        throw new PipeRefusedError('its token was used before')
      }
      return facts
    },
  }
}

/** Returns the audience of tokens for the pipe at this URL: host and path, which a proxy that ends TLS does not change. */
export function pipeAudience(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}

/**
 * Makes the header that opens a pipe.
 * @throws RangeError if the secret is too short, or the facts are too long to be read.
 */
export async function pipeHeaders(
  facts: PipeFacts,
  options: { readonly secret: string; readonly url: string },
): Promise<{ authorization: string }> {
  if (readFacts(facts) === undefined) throw new RangeError('the facts are invalid or too long')
  const now = Math.floor(Date.now() / 1_000)
  const token = await new SignJWT({ pipe: facts })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer(ISSUER)
    .setAudience(pipeAudience(options.url))
    .setJti(crypto.randomUUID())
    .setIssuedAt(now)
    .setExpirationTime(now + TOKEN_SECONDS)
    .sign(secretKey(options.secret))
  return { authorization: `Bearer ${token}` }
}

/** Makes a memory of up to 100,000 tokens in this process. When it is full, a new token is refused with 503. */
export function tokenMemory(): TokenMemory {
  return new MemoryOfTokens()
}

/** The tokens that were seen and have not expired. */
class MemoryOfTokens implements TokenMemory {
  /** When each token expires. They are nearly in that order, because all are valid for the same time. */
  readonly #expiries = new Map<string, number>()

  add(id: string, expiresAtMs: number): boolean {
    const now = Date.now()
    for (const [old, expiry] of this.#expiries) {
      if (expiry > now) break
      this.#expiries.delete(old)
    }
    if (this.#expiries.has(id)) return false
    // If a valid token were dropped, it could open a second pipe.
    if (this.#expiries.size >= MAX_REMEMBERED) throw new PipeRefusedError('there are too many tokens to remember', 503)
    this.#expiries.set(id, expiresAtMs)
    return true
  }
}

const MAX_REMEMBERED = 100_000

function secretKey(secret: string): Uint8Array {
  const key = new TextEncoder().encode(secret)
  if (key.byteLength < MIN_SECRET_BYTES) {
    throw new RangeError(`a secret of ${key.byteLength} bytes: at least ${MIN_SECRET_BYTES}`)
  }
  return key
}

function bearerToken({ headers }: PipeRequest): string {
  const [, token] = /^Bearer ([\w.-]+)$/.exec(headers.get('authorization') ?? '') ?? []
  if (token === undefined) throw new PipeRefusedError('it has no token')
  if (token.length > MAX_TOKEN_LENGTH) throw new PipeRefusedError('its token is too long')
  return token
}

interface Claims {
  readonly jti: string
  readonly exp: number
  readonly pipe: unknown
}

async function claims(token: string, keys: readonly Uint8Array[], audience: string | string[]): Promise<Claims> {
  let failure: unknown
  for (const key of keys) {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: ['HS256'],
        issuer: ISSUER,
        audience,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        maxTokenAge: TOKEN_SECONDS,
        requiredClaims: ['exp', 'iat', 'jti', 'pipe'],
      })
      const { jti, exp, iat, pipe } = payload
      if (typeof jti !== 'string' || jti.length < 16 || jti.length > 64) {
        throw new PipeRefusedError('the id of its token is missing or invalid')
      }
      if (exp === undefined || iat === undefined || exp - iat > TOKEN_SECONDS) {
        throw new PipeRefusedError('its token is valid for too long')
      }
      return { jti, exp, pipe }
    } catch (error) {
      if (error instanceof PipeRefusedError) throw error
      failure = error
      // Another secret may have signed it. Any other error is the same with every secret.
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) break
    }
  }
  throw new PipeRefusedError(`its token is invalid: ${failure instanceof Error ? failure.message : failure}`, 401, {
    cause: failure,
  })
}
