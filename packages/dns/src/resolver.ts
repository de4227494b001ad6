/** The resolver: a cache, queries that are shared, servers that are asked in turn, and a bound on all of it. */
import { type Endpoint, FairSet } from '@postern/engine'
import { type Answer, type Failed, failed, type RecordType, type ResolveOptions, type Resolver } from './answer.ts'
import { AnswerCache, type CacheOptions } from './cache.ts'
import { failureOf, isReferral, readAnswer, type Way } from './message/chain.ts'
import { isFormatRefused, type Message, type Question } from './message/codec.ts'
import { queryName } from './names/query-name.ts'
import type { AskOptions, Reply, Servers, Upstream } from './upstream.ts'

export interface ResolverOptions extends Servers {
  /** Returns the servers as they are now. Called before servers are asked. Must not reject. Default: they stay as they are. */
  readonly refresh?: (() => Servers | Promise<Servers>) | undefined
  /** How long an answer may take in all. Default 10,000. */
  readonly timeoutMs?: number | undefined
  /** Ask for the signatures of DNSSEC too (the DO bit). Default false: the server's word is asked for in any case. */
  readonly dnssec?: boolean | undefined
  /** How many names may be looked up at the same time. The client with the most of them loses its oldest. Default 500. */
  readonly maxQueries?: number | undefined
  /** What is kept: its bounds, or a cache that several resolvers share. */
  readonly cache?: CacheOptions | AnswerCache | undefined
  /** The clock of the cache, in milliseconds. Default `performance.now`. */
  readonly now?: (() => number) | undefined
}

/** What a resolver has done since it was made. */
export interface ResolverCounts {
  /** Questions to servers. */
  asked: number
  /** Questions that the cache answered. */
  cached: number
  /** Questions that were the same as one that was on its way. */
  shared: number
  /** Answers over UDP that did not belong to a query. Somebody may have forged them. */
  ignored: number
  /** Questions that were dropped because too many were waiting. */
  dropped: number
}

export interface CountingResolver extends Resolver {
  readonly counts: Readonly<ResolverCounts>
}

const ATTEMPTS = 2
const ATTEMPT_TIMEOUT_MS = 3_000
/** How long a server that does not know EDNS is asked without it. Then it may be another version of the server. */
const PLAIN_MS = 15 * 60_000

const NO_CLIENT: Endpoint = { family: 'unknown', address: '', port: 0 }
/** No text was given that a server could be asked for. */
const NO_NAME: Answer = { status: 'nxdomain', ttlSeconds: 0, isAuthentic: false }

/** Makes a resolver. @throws RangeError if there is no server, or if a number is not positive */
export function createResolver(options: ResolverOptions): CountingResolver {
  return new CachingResolver(options)
}

class CachingResolver implements CountingResolver {
  readonly counts: ResolverCounts = { asked: 0, cached: 0, shared: 0, ignored: 0, dropped: 0 }
  readonly #servers: Servers
  readonly #refresh: (() => Servers | Promise<Servers>) | undefined
  readonly #timeoutMs: number
  readonly #isSigned: boolean
  readonly #now: () => number
  readonly #cache: AnswerCache
  /** By type and name. */
  readonly #lookups = new Map<string, Lookup>()
  readonly #running: FairSet<Lookup>
  /** Servers that do not know EDNS, and until when they are asked without it. */
  readonly #plain = new WeakMap<Upstream, number>()

  constructor(options: ResolverOptions) {
    const { attempts = ATTEMPTS, attemptTimeoutMs = ATTEMPT_TIMEOUT_MS } = options
    const { timeoutMs = 10_000, maxQueries = 500 } = options
    for (const [name, value] of Object.entries({ attempts, attemptTimeoutMs, timeoutMs, maxQueries })) {
      if (!(value >= 1 && value < 2 ** 31)) throw new RangeError(`${name}: ${value} is not from 1 to 2147483647`)
    }
    if (options.upstreams.length === 0) throw new RangeError('upstreams: there must be at least one server')
    this.#servers = { upstreams: options.upstreams, attempts, attemptTimeoutMs }
    this.#refresh = options.refresh
    this.#timeoutMs = timeoutMs
    this.#isSigned = options.dnssec ?? false
    this.#now = options.now ?? (() => performance.now())
    this.#cache = options.cache instanceof AnswerCache ? options.cache : new AnswerCache(options.cache)
    this.#running = new FairSet(maxQueries)
  }

  async resolve<Type extends RecordType>(
    text: string,
    type: Type,
    { signal, client = NO_CLIENT }: ResolveOptions = {},
  ): Promise<Answer<Type>> {
    if (signal?.aborted) return failed('aborted', 'the caller does not wait')
    const name = queryName(text)
    if (name === undefined) return NO_NAME as Answer<Type>
    const key = `${type} ${name}`
    const cached = this.#cache.get(key, this.#now())
    if (cached !== undefined) {
      this.counts.cached++
      return cached as Answer<Type>
    }
    let lookup = this.#lookups.get(key)
    // One that has just ended may have ended because nobody waited.
    if (lookup === undefined || lookup.signal.aborted) lookup = this.#start(key, { name, type }, client)
    else this.counts.shared++
    return (await lookup.wait(signal)) as Answer<Type>
  }

  #start(key: string, question: Question, client: Endpoint): Lookup {
    const lookup = new Lookup(this.#timeoutMs)
    this.#lookups.set(key, lookup)
    const dropped = this.#running.add(client, lookup)
    if (dropped !== undefined) {
      this.counts.dropped++
      dropped.settle(failed('busy', 'too many queries are waiting'))
    }
    const ended = (): void => {
      if (this.#lookups.get(key) === lookup) this.#lookups.delete(key)
      this.#running.delete(lookup)
    }
    lookup.answer.then((answer) => {
      ended()
      this.#cache.set(key, answer, this.#now())
    }, ended)
    if (dropped !== lookup) {
      this.#follow(question, lookup.signal).then(
        (answer) => lookup.settle(answer),
        (error: unknown) => lookup.fail(error),
      )
    }
    return lookup
  }

  /** Asks for a name, and for the names that its CNAMEs lead to if a server does not tell the rest by itself. */
  async #follow(question: Question, signal: AbortSignal): Promise<Answer> {
    let way: Way = { names: [question.name], ttlSeconds: Infinity, isAuthentic: true }
    for (;;) {
      const name = queryName(way.names.at(-1) ?? '')
      if (name === undefined) return failed('malformed', 'a CNAME record leads to what is no name')
      const reply = await this.#ask({ name, type: question.type }, signal)
      if ('reason' in reply) return reply
      const reading = readAnswer(question, way, reply.message)
      if (reading.status === 'further') {
        way = reading.way
        continue
      }
      if (reading.status === 'failed') return reading
      return { ...reading, ttlSeconds: Math.max(0, reading.ttlSeconds - reply.ageSeconds) }
    }
  }

  /** Asks one server after another, and then those that did not answer again. */
  async #ask(
    question: Question,
    signal: AbortSignal,
  ): Promise<{ readonly message: Message; readonly ageSeconds: number } | Failed> {
    let last = failed('timeout', 'no answer in time')
    const now = await this.#refresh?.()
    if (signal.aborted) return last
    const { upstreams, attempts = ATTEMPTS, attemptTimeoutMs = ATTEMPT_TIMEOUT_MS } = now ?? this.#servers
    let silent = upstreams
    for (let attempt = 0; attempt < attempts && silent.length > 0; attempt++) {
      const still: Upstream[] = []
      for (const upstream of silent) {
        const reply = await this.#askOne(upstream, question, signal, attemptTimeoutMs)
        if (signal.aborted) return last
        const failure = reply.status === 'failed' ? reply : refusalOf(reply.message)
        if (failure === undefined && reply.status === 'answered') return reply
        if (failure !== undefined) last = failed(failure.reason, `${upstream.url}: ${failure.detail}`)
        // A server that has said no says it again.
        if (last.reason === 'timeout' || last.reason === 'malformed' || last.reason === 'unreachable') {
          still.push(upstream)
        }
      }
      silent = still
    }
    return last
  }

  /** Asks a server, and once more without EDNS if that may be why it refuses the query (RFC 6891 7). Both share the time. */
  async #askOne(upstream: Upstream, question: Question, signal: AbortSignal, timeoutMs: number): Promise<Reply> {
    const options: AskOptions = {
      signal,
      timeoutMs,
      isSigned: this.#isSigned,
      isExtended: true,
      ignored: () => void this.counts.ignored++,
    }
    const startMs = this.#now()
    this.counts.asked++
    const plainUntilMs = this.#plain.get(upstream)
    if (plainUntilMs !== undefined && startMs < plainUntilMs) {
      return upstream.ask(question, { ...options, isExtended: false })
    }
    const reply = await upstream.ask(question, options)
    const leftMs = timeoutMs - (this.#now() - startMs)
    if (signal.aborted || leftMs < 1 || reply.status === 'failed' || !isFormatRefused(reply.message)) return reply
    this.counts.asked++
    const plain = await upstream.ask(question, { ...options, isExtended: false, timeoutMs: leftMs })
    if (plain.status === 'answered' && !isFormatRefused(plain.message)) {
      this.#plain.set(upstream, this.#now() + PLAIN_MS)
    }
    return plain
  }
}

/** Returns why another server should be asked. */
function refusalOf(message: Message): Failed | undefined {
  return failureOf(message) ?? (isReferral(message) ? failed('lame', 'the server only refers to others') : undefined)
}

/** One name that is looked up, for all callers that wait for it. It ends when none of them waits any more. */
class Lookup {
  readonly answer: Promise<Answer>
  readonly #settled = Promise.withResolvers<Answer>()
  readonly #controller = new AbortController()
  readonly #timer: ReturnType<typeof setTimeout>
  #waiting = 0

  constructor(timeoutMs: number) {
    this.answer = this.#settled.promise
    this.#timer = setTimeout(() => this.settle(failed('timeout', 'no answer in time')), timeoutMs)
  }

  /** Aborted once the answer is known, or not wanted. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  settle(answer: Answer): void {
    this.#end()
    this.#settled.resolve(answer)
  }

  /** Tells of a bug. */
  fail(error: unknown): void {
    this.#end()
    this.#settled.reject(error as Error)
  }

  wait(signal: AbortSignal | undefined): Promise<Answer> {
    this.#waiting++
    if (signal === undefined) return this.answer
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const leave = (): void => {
      const aborted = failed('aborted', 'the caller does not wait')
      resolve(aborted)
      if (--this.#waiting === 0) this.settle(aborted)
    }
    signal.addEventListener('abort', leave, { once: true })
    this.answer.then(resolve, reject)
    return promise.finally(() => signal.removeEventListener('abort', leave))
  }

  #end(): void {
    clearTimeout(this.#timer)
    this.#controller.abort()
  }
}
