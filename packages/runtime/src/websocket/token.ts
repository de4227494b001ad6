/**
 * How a front proves that it is one: the facts of a connection, signed (JWT, HS256), in the header that asks for the WebSocket.
 *
 * A token opens one pipe, within a minute, at the place that it names. It is checked before the WebSocket is accepted.
 */
import { errors, jwtVerify, SignJWT } from 'jose'
import { type PipeFacts, readFacts } from './facts.ts'

/** How long a token is good for. */
export const TOKEN_SECONDS = 60
/** Clocks differ. */
const CLOCK_TOLERANCE_SECONDS = 10
/** Of HMAC with SHA-256 (RFC 7518 3.2). */
const MIN_SECRET_BYTES = 32
/** Characters of a token; more are not looked at. */
const MAX_TOKEN_LENGTH = 12_288
const ISSUER = 'postern-front'

/** A front, or whoever says that it is one, is not let in. Its message says why, for the log; answer with `status` and no more. */
export class PipeRefusedError extends Error {
  override readonly name = 'PipeRefusedError'
  /** 401; 503 where there is no room to remember one more token. */
  readonly status: 401 | 503
  constructor(message: string, status: 401 | 503 = 401, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

/** Remembers tokens, so that none opens a second pipe. */
export interface TokenMemory {
  /** Whether it is seen for the first time. It may be forgotten after `expiresAtMs`, in ms since 1970. */
  add(id: string, expiresAtMs: number): boolean | Promise<boolean>
}

export interface FrontGuardOptions {
  /** The secrets that fronts may sign with, at least 32 bytes each; two while one replaces the other. */
  readonly secrets: string | readonly string[]
  /**
   * What fronts call this place: `mail.example.com/pipe`, host and path. Default: what each request says that it asks for, which
   * is enough where nobody but the network decides which requests come here (a Worker, a host of its own).
   */
  readonly audience?: string | readonly string[] | undefined
  /** Where guards of several addresses or threads share one, a token opens one pipe at all of them. Default: its own {@link tokenMemory}. */
  readonly memory?: TokenMemory | undefined
}

/** A request for a WebSocket: a `Request`, or as much of one. */
export interface PipeRequest {
  /** The whole URL. */
  readonly url: string
  readonly headers: { get(name: string): string | null }
}

/** Lets fronts in, and nobody else. */
export interface FrontGuard {
  /** What the front says of its client. Call it before the WebSocket is accepted. @throws PipeRefusedError */
  admit(request: PipeRequest): Promise<PipeFacts>
}

/** Makes a guard. @throws RangeError where a secret is too short */
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
      if (facts === undefined) throw new PipeRefusedError('its claims are not of a pipe')
      if (!(await memory.add(jti, (exp + CLOCK_TOLERANCE_SECONDS) * 1_000))) {
        throw new PipeRefusedError('its token was used before')
      }
      return facts
    },
  }
}

/** What a token for the pipe at this URL is good for: host and path, which a proxy that ends TLS leaves as they are. */
export function pipeAudience(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}

/** The header that opens a pipe. @throws RangeError where the secret is too short, or the facts are too long to be read. */
export async function pipeHeaders(
  facts: PipeFacts,
  options: { readonly secret: string; readonly url: string },
): Promise<{ authorization: string }> {
  if (readFacts(facts) === undefined) throw new RangeError('facts of a connection that nobody would take')
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

/** Remembers up to 100,000 tokens, in this process; beyond them a new one is refused with 503. */
export function tokenMemory(): TokenMemory {
  return new MemoryOfTokens()
}

/** Tokens that were seen, until they are no good any more. */
class MemoryOfTokens implements TokenMemory {
  /** When each expires. Nearly in that order: tokens live equally long. */
  readonly #expiries = new Map<string, number>()

  add(id: string, expiresAtMs: number): boolean {
    const now = Date.now()
    for (const [old, expiry] of this.#expiries) {
      if (expiry > now) break
      this.#expiries.delete(old)
    }
    if (this.#expiries.has(id)) return false
    // To forget one that is still good would let it in again.
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
  if (token === undefined) throw new PipeRefusedError('it shows no token')
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
        throw new PipeRefusedError('its token has no fit id')
      }
      if (exp === undefined || iat === undefined || exp - iat > TOKEN_SECONDS) {
        throw new PipeRefusedError('its token lives too long')
      }
      return { jti, exp, pipe }
    } catch (error) {
      if (error instanceof PipeRefusedError) throw error
      failure = error
      // Another secret may have signed it; whatever else is wrong, is wrong with all of them.
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) break
    }
  }
  throw new PipeRefusedError(`its token is no good: ${failure instanceof Error ? failure.message : failure}`, 401, {
    cause: failure,
  })
}
