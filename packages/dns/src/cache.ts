/** Keeps answers for as long as their TTL allows, in bounded memory. What was used longest ago goes first. */
import type { Answer } from './answer.ts'

export interface CacheOptions {
  /** Default 10,000. 0 keeps nothing. */
  readonly maxEntries?: number | undefined
  /** About how much memory the answers may take. Default 8 MiB. */
  readonly maxBytes?: number | undefined
  /** Default one day. */
  readonly maxTtlSeconds?: number | undefined
  /** For answers that say that there is no such record. Default one hour. */
  readonly maxAbsentTtlSeconds?: number | undefined
  /** How long a failure is kept, so that a server that is down is not asked for each client. Default 5. */
  readonly failedTtlSeconds?: number | undefined
}

interface Kept {
  readonly answer: Answer
  readonly bytes: number
  readonly endMs: number
}

/** About what an entry takes besides its texts. */
const ENTRY_BYTES = 400
const RECORD_BYTES = 100

export class AnswerCache {
  readonly #options: Required<{ [Name in keyof CacheOptions]: number }>
  /** In the order of use. */
  readonly #kept = new Map<string, Kept>()
  #bytes = 0

  constructor(options: CacheOptions = {}) {
    this.#options = {
      maxEntries: options.maxEntries ?? 10_000,
      maxBytes: options.maxBytes ?? 8 * 1024 * 1024,
      maxTtlSeconds: options.maxTtlSeconds ?? 86_400,
      maxAbsentTtlSeconds: options.maxAbsentTtlSeconds ?? 3_600,
      failedTtlSeconds: options.failedTtlSeconds ?? 5,
    }
  }

  get size(): number {
    return this.#kept.size
  }

  /** About how much memory the answers take. */
  get bytes(): number {
    return this.#bytes
  }

  /** Returns an answer with the rest of its TTL. */
  get(key: string, nowMs: number): Answer | undefined {
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    this.#delete(key, kept)
    if (kept.endMs <= nowMs) return undefined
    this.#add(key, kept)
    const { answer, endMs } = kept
    return answer.status === 'failed' ? answer : { ...answer, ttlSeconds: Math.ceil((endMs - nowMs) / 1000) }
  }

  set(key: string, answer: Answer, nowMs: number): void {
    const ttlMs = this.#ttlSeconds(answer) * 1000
    const bytes = bytesOf(key, answer)
    const { maxEntries, maxBytes } = this.#options
    const before = this.#kept.get(key)
    if (before !== undefined) this.#delete(key, before)
    if (ttlMs <= 0 || maxEntries < 1 || bytes > maxBytes) return
    this.#add(key, { answer, bytes, endMs: nowMs + ttlMs })
    for (const [oldest, kept] of this.#kept) {
      if (this.#kept.size <= maxEntries && this.#bytes <= maxBytes) break
      this.#delete(oldest, kept)
    }
  }

  #ttlSeconds(answer: Answer): number {
    const { maxTtlSeconds, maxAbsentTtlSeconds, failedTtlSeconds } = this.#options
    if (answer.status === 'found') return Math.min(answer.ttlSeconds, maxTtlSeconds)
    if (answer.status !== 'failed') return Math.min(answer.ttlSeconds, maxAbsentTtlSeconds)
    // These two tell of the callers, and not of the name.
    return answer.reason === 'busy' || answer.reason === 'aborted' ? 0 : failedTtlSeconds
  }

  #add(key: string, kept: Kept): void {
    this.#kept.set(key, kept)
    this.#bytes += kept.bytes
  }

  #delete(key: string, kept: Kept): void {
    this.#kept.delete(key)
    this.#bytes -= kept.bytes
  }
}

function bytesOf(key: string, answer: Answer): number {
  if (answer.status !== 'found') return ENTRY_BYTES + 2 * key.length
  const records: readonly unknown[] = answer.records
  return records.reduce<number>((sum, record) => sum + RECORD_BYTES + textBytes(record), ENTRY_BYTES + 2 * key.length)
}

/** Counts two bytes for each character, and one for each octet. */
function textBytes(value: unknown): number {
  if (typeof value === 'string') return 2 * value.length
  if (value instanceof Uint8Array) return value.length
  if (typeof value !== 'object' || value === null) return 8
  return Object.values(value).reduce<number>((sum, part) => sum + textBytes(part), 0)
}
