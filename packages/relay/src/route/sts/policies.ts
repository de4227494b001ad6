/** Keeps policies of MTA-STS, and fetches them when they are new: RFC 8461 3.1, 3.3 and 5.1. */
import type { Resolver } from '@postern/dns/names'
import { noPolicy, type PolicyFailure } from '../outcome.ts'
import type { PolicyAnswer, PolicyFetch } from './fetch.ts'
import { factsOf, parsePolicy, recordId, type StsPolicy } from './policy.ts'

export interface StsOptions {
  readonly resolver: Resolver
  readonly fetch: PolicyFetch
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: (() => number) | undefined
  /** How long a fetch may take. Default 60,000. */
  readonly timeoutMs?: number | undefined
  /** A policy that is in use is fetched again after this time, so that it does not expire. Default one day. */
  readonly refreshMs?: number | undefined
  /** After a failure there is no other fetch for this time. Default five minutes. */
  readonly retryMs?: number | undefined
  /** Domains. What was used longest ago goes first. Default 10,000. */
  readonly maxPolicies?: number | undefined
  /** About how much memory they may take: a domain chooses how long its policy is. Default 16 MiB. */
  readonly maxBytes?: number | undefined
  /** What an earlier process had kept: without it, a restart forgets what domains have promised. */
  readonly kept?: readonly KeptPolicy[] | undefined
}

/** Plain data, for a file. */
export interface KeptPolicy {
  readonly domain: string
  readonly id: string
  readonly fetchedAt: number
  readonly policy: StsPolicy
}

export interface StsLookup {
  readonly policy: StsPolicy | undefined
  /** Why there is no policy, or no newer one, although the domain says that it has one. */
  readonly failure: Omit<PolicyFailure, 'host'> | undefined
}

export interface StsPolicies {
  /** Finds the policy of a domain. Never rejects. */
  lookUp(domain: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<StsLookup>
  /** Returns what is kept. */
  kept(): readonly KeptPolicy[]
  /** A number that changes when there is a new policy. */
  readonly changes: number
}

interface Entry {
  readonly kept: KeptPolicy | undefined
  /** The last fetch that failed. */
  readonly failed:
    | { readonly at: number; readonly id: string; readonly failure: Omit<PolicyFailure, 'host'> }
    | undefined
}

const DAY_MS = 86_400_000
const MAX_POLICIES = 10_000
const MAX_BYTES = 16 * 1024 * 1024
/** About what an entry takes besides its texts. */
const ENTRY_BYTES = 500
const NOTHING: Entry = { kept: undefined, failed: undefined }

export function createStsPolicies(options: StsOptions): StsPolicies {
  return new PolicyCache(options)
}

class PolicyCache implements StsPolicies {
  readonly #options: StsOptions
  readonly #now: () => number
  /** By domain, in the order of use. */
  readonly #entries = new Map<string, Entry>()
  readonly #fetches = new Map<string, Promise<Entry>>()
  #bytes = 0
  #changes = 0

  constructor(options: StsOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    for (const kept of options.kept ?? []) this.#set(kept.domain, { kept, failed: undefined })
  }

  get changes(): number {
    return this.#changes
  }

  kept(): readonly KeptPolicy[] {
    return [...this.#entries.values()].flatMap(({ kept }) => (kept === undefined || !this.#isFresh(kept) ? [] : [kept]))
  }

  async lookUp(domain: string, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<StsLookup> {
    const answer = await this.#options.resolver.resolve(`_mta-sts.${domain}`, 'TXT', { signal })
    const id = answer.status === 'found' ? recordId(answer.records.map(({ text }) => text)) : undefined
    let entry = this.#get(domain)
    // Without a record, a policy that was promised for longer still counts: somebody may suppress the record.
    if (id !== undefined && this.#isFetchDue(entry, id)) entry = await this.#fetch(domain, id)
    const { kept, failed } = entry
    return {
      policy: kept !== undefined && this.#isFresh(kept) ? kept.policy : undefined,
      failure: id === undefined ? undefined : failed?.failure,
    }
  }

  #isFresh({ fetchedAt, policy }: KeptPolicy): boolean {
    return this.#now() < fetchedAt + policy.maxAgeSeconds * 1000
  }

  #isFetchDue({ kept, failed }: Entry, id: string): boolean {
    const { refreshMs = DAY_MS, retryMs = 300_000 } = this.#options
    const now = this.#now()
    if (failed !== undefined && failed.id === id && now < failed.at + retryMs) return false
    return kept?.id !== id || !this.#isFresh(kept) || now >= kept.fetchedAt + refreshMs
  }

  /** Fetches once for all who wait for it. */
  #fetch(domain: string, id: string): Promise<Entry> {
    let fetched = this.#fetches.get(domain)
    if (fetched === undefined) {
      fetched = this.#fetchNow(domain, id).finally(() => this.#fetches.delete(domain))
      this.#fetches.set(domain, fetched)
    }
    return fetched
  }

  async #fetchNow(domain: string, id: string): Promise<Entry> {
    const { fetch, timeoutMs = 60_000 } = this.#options
    const answer = await withinTime(timeoutMs, (signal) => fetch(domain, { signal }))
    const policy = answer.status === 'fetched' ? parsePolicy(answer.text) : undefined
    const { kept } = this.#entries.get(domain) ?? NOTHING
    const entry: Entry =
      typeof policy === 'object'
        ? { kept: { domain, id, fetchedAt: this.#now(), policy }, failed: undefined }
        : { kept, failed: { at: this.#now(), id, failure: this.#failureOf(domain, answer, policy, kept) } }
    this.#set(domain, entry)
    if (typeof policy === 'object') this.#changes++
    return entry
  }

  #failureOf(
    domain: string,
    answer: PolicyAnswer,
    problem: string | undefined,
    kept: KeptPolicy | undefined,
  ): Omit<PolicyFailure, 'host'> {
    const policy = kept === undefined ? { ...noPolicy(domain), type: 'sts' as const } : factsOf(domain, kept.policy)
    if (answer.status === 'failed') return { type: answer.reason, policy, detail: answer.detail }
    return { type: 'sts-policy-invalid', policy, detail: problem ?? '' }
  }

  #get(domain: string): Entry {
    const entry = this.#entries.get(domain)
    if (entry === undefined) return NOTHING
    this.#entries.delete(domain)
    this.#entries.set(domain, entry)
    return entry
  }

  #set(domain: string, entry: Entry): void {
    const { maxPolicies = MAX_POLICIES, maxBytes = MAX_BYTES } = this.#options
    this.#drop(domain)
    this.#entries.set(domain, entry)
    this.#bytes += bytesOf(domain, entry)
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= maxPolicies && this.#bytes <= maxBytes) break
      this.#drop(oldest)
    }
  }

  #drop(domain: string): void {
    const entry = this.#entries.get(domain)
    if (entry === undefined) return
    this.#entries.delete(domain)
    this.#bytes -= bytesOf(domain, entry)
  }
}

/** Counts two bytes for each character. A failure repeats the policy. */
function bytesOf(domain: string, { kept, failed }: Entry): number {
  const characters = (kept?.policy.mx ?? []).reduce((sum, mx) => sum + mx.length + 20, domain.length)
  return ENTRY_BYTES + 2 * characters * (failed === undefined ? 1 : 3)
}

/** Waits for a fetch, also for one that does not heed its signal. */
async function withinTime(
  timeoutMs: number,
  fetch: (signal: AbortSignal) => Promise<PolicyAnswer>,
): Promise<PolicyAnswer> {
  const controller = new AbortController()
  const late = Promise.withResolvers<PolicyAnswer>()
  const timer = setTimeout(() => {
    late.resolve({
      status: 'failed',
      reason: 'sts-policy-fetch-error',
      detail: 'the policy host did not answer in time',
    })
    controller.abort()
  }, timeoutMs)
  try {
    return await Promise.race([fetch(controller.signal), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
