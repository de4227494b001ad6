/** DNS for one message: a bound on the number of lookups, and an end for all of them. */
import type { Answer, Failed, RecordType, ResolveOptions, Resolver } from '@postern/dns/names'

/** What `mailauth` asks: `node:dns` has the same types and errors. */
export type NodeResolve = (name: string, type: string) => Promise<unknown[]>

const TOO_MANY: Failed = { status: 'failed', reason: 'busy', detail: 'the message needs too many lookups' }
const LATE: Failed = { status: 'failed', reason: 'timeout', detail: 'no answer in time' }
/** What a failure is to a program that knows `node:dns`. */
const CODES = { timeout: 'ETIMEOUT', aborted: 'ETIMEOUT', busy: 'ETIMEOUT', refused: 'EREFUSED' } as const

export class Lookups implements Resolver {
  readonly #resolver: Resolver
  readonly #options: ResolveOptions
  readonly #controller = new AbortController()
  readonly #ended = Promise.withResolvers<Failed>()
  #left: number

  constructor(resolver: Resolver, maxLookups: number, options: Pick<ResolveOptions, 'client'>) {
    this.#resolver = resolver
    this.#left = maxLookups
    this.#options = { ...options, signal: this.#controller.signal }
  }

  /** Every lookup that has no answer fails, and so does each later one. */
  end(): void {
    this.#controller.abort()
    this.#ended.resolve(LATE)
  }

  async resolve<Type extends RecordType>(name: string, type: Type): Promise<Answer<Type>> {
    if (this.#controller.signal.aborted) return LATE
    if (this.#left === 0) return TOO_MANY
    this.#left--
    // A resolver that does not heed the signal must not delay the message.
    return Promise.race([this.#resolver.resolve(name, type, this.#options), this.#ended.promise])
  }

  /** The same in the manner of `node:dns`. */
  readonly asNode: NodeResolve = async (name, type) => {
    const answer = await this.resolve(name, type as RecordType)
    if (answer.status === 'found') return answer.records.map(nodeRecord)
    if (answer.status !== 'failed') throw dnsError(answer.status === 'nodata' ? 'ENODATA' : 'ENOTFOUND', name)
    throw dnsError(CODES[answer.reason as keyof typeof CODES] ?? 'ESERVFAIL', name)
  }
}

function nodeRecord(record: unknown): unknown {
  if (typeof record !== 'object' || record === null) return record
  if ('strings' in record) return record.strings
  return 'preference' in record ? { ...record, priority: record.preference } : record
}

function dnsError(code: string, name: string): Error {
  return Object.assign(new Error(`${code}: ${name}`), { code })
}
