/** Counts what became of TLS on connections to other servers, by domain and policy: RFC 8460 4.2 and 4.3. In bounded memory. */
import type { PolicyFacts, TlsFailureType } from '../route/outcome.ts'

export interface TlsFailure {
  readonly type: TlsFailureType
  /** The host name of the server; '' if there is none. */
  readonly host: string
  /** IP addresses; '' if there was no connection. */
  readonly sendingAddress: string
  readonly receivingAddress: string
  /** One line. */
  readonly detail: string
}

/** The counts of one policy. Plain data. */
export interface PolicyCounts {
  readonly policy: PolicyFacts
  readonly successes: number
  readonly failures: number
  /** Fewer than `failures`, if there were too many kinds of them. */
  readonly details: readonly (TlsFailure & { readonly count: number })[]
}

/** The counts of one domain that mail was sent to. */
export interface DomainCounts {
  readonly domain: string
  readonly policies: readonly PolicyCounts[]
}

/** Takes counts. */
export interface TlsCounts {
  /**
   * Counts a connection, or a policy that could not be used.
   * @param domain The domain of the recipients
   * @param failure undefined: the connection had what the policy asks for
   */
  count(domain: string, policy: PolicyFacts, failure?: TlsFailure): void
}

export interface TlsCounterOptions {
  /** Others are not counted. Default 10,000. */
  readonly maxDomains?: number | undefined
  /** Kinds of failures of one policy. Others are only in the sum. Default 100. */
  readonly maxDetails?: number | undefined
  /** About how much memory the counts may take: domains choose how long their policies are. What does not fit is not counted. Default 16 MiB. */
  readonly maxBytes?: number | undefined
}

interface Counting {
  readonly policy: PolicyFacts
  successes: number
  failures: number
  readonly details: Map<string, TlsFailure & { count: number }>
}

/** A domain has one policy of MTA-STS, and one for each of its hosts that has TLSA records. Policies change. */
const MAX_POLICIES = 50
const MAX_BYTES = 16 * 1024 * 1024
/** About what a policy or a kind of failure takes besides its texts. */
const ENTRY_BYTES = 400

export class TlsCounter implements TlsCounts {
  readonly #maxDomains: number
  readonly #maxDetails: number
  readonly #maxBytes: number
  #bytes = 0
  #domains = new Map<string, Map<string, Counting>>()

  constructor({ maxDomains = 10_000, maxDetails = 100, maxBytes = MAX_BYTES }: TlsCounterOptions = {}) {
    this.#maxDomains = maxDomains
    this.#maxDetails = maxDetails
    this.#maxBytes = maxBytes
  }

  count(domain: string, policy: PolicyFacts, failure?: TlsFailure): void {
    const counting = this.#countingOf(domain, policy)
    if (counting === undefined) return
    if (failure === undefined) counting.successes++
    else this.#addFailure(counting, failure, 1)
  }

  /** Returns the counts since the last call, and begins anew. */
  take(): readonly DomainCounts[] {
    const counts = this.counts()
    this.#domains = new Map()
    this.#bytes = 0
    return counts
  }

  /** Returns the counts so far. */
  counts(): readonly DomainCounts[] {
    return [...this.#domains].map(([domain, policies]) => ({
      domain,
      policies: [...policies.values()].map(({ details, ...counting }) => ({
        ...counting,
        details: [...details.values()],
      })),
    }))
  }

  /** Adds counts that an earlier process took and did not report. */
  add(counts: readonly DomainCounts[]): void {
    for (const { domain, policies } of counts) for (const policy of policies) this.#addPolicy(domain, policy)
  }

  #addPolicy(domain: string, { policy, successes, failures, details }: PolicyCounts): void {
    const counting = this.#countingOf(domain, policy)
    if (counting === undefined) return
    counting.successes += successes
    let others = failures
    for (const { count, ...failure } of details) {
      this.#addFailure(counting, failure, count)
      others -= count
    }
    counting.failures += others
  }

  #addFailure(counting: Counting, failure: TlsFailure, count: number): void {
    const { type, host, sendingAddress, receivingAddress, detail } = failure
    counting.failures += count
    const key = JSON.stringify([type, host, sendingAddress, receivingAddress, detail])
    const known = counting.details.get(key)
    if (known !== undefined) known.count += count
    else if (counting.details.size < this.#maxDetails && this.#fits(key)) {
      counting.details.set(key, { type, host, sendingAddress, receivingAddress, detail, count })
    }
  }

  #countingOf(domain: string, policy: PolicyFacts): Counting | undefined {
    const key = JSON.stringify([policy.type, policy.domain, policy.strings])
    const policies = this.#domains.get(domain)
    const known = policies?.get(key)
    if (known !== undefined) return known
    const isFull = policies === undefined ? this.#domains.size >= this.#maxDomains : policies.size >= MAX_POLICIES
    // The policy has its texts a second time.
    if (isFull || !this.#fits(key + key)) return undefined
    const counting: Counting = { policy, successes: 0, failures: 0, details: new Map() }
    if (policies === undefined) this.#domains.set(domain, new Map([[key, counting]]))
    else policies.set(key, counting)
    return counting
  }

  /** Takes memory for texts. Returns false if there is none left. */
  #fits(text: string): boolean {
    const bytes = ENTRY_BYTES + 2 * text.length
    if (this.#bytes + bytes > this.#maxBytes) return false
    this.#bytes += bytes
    return true
  }
}
