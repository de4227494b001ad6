/** What a reporter keeps for a later process. Plain data, for a file. */
import type { PolicyFacts } from '../route/outcome.ts'
import type { DomainCounts, PolicyCounts } from './counts.ts'

export interface KeptTlsReports {
  readonly version: 1
  /** The day in UTC that is counted: `2026-11-30`. */
  readonly day: string
  readonly counts: readonly DomainCounts[]
  readonly due: readonly TlsReportDue[]
}

/** The report of a day for a domain, which is not sent yet. Times are milliseconds since 1970. */
export interface TlsReportDue {
  readonly day: string
  readonly dueAt: number
  readonly giveUpAt: number
  readonly attempts: number
  /** Where it was sent: `mail`, or a URL. */
  readonly sentTo: readonly string[]
  readonly counts: DomainCounts
}

type Fields = Readonly<Record<string, unknown>>

const POLICY_TYPES: readonly unknown[] = ['tlsa', 'sts', 'no-policy-found']

/** Reads what {@link KeptTlsReports} was written as. Returns undefined if it is anything else. */
export function readKeptTlsReports(text: string): KeptTlsReports | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return isKept(value) ? value : undefined
}

function isKept(value: unknown): value is KeptTlsReports {
  if (!isObject(value)) return false
  return (
    value['version'] === 1 &&
    isDay(value['day']) &&
    isListOf(value['counts'], isDomain) &&
    isListOf(value['due'], isDue)
  )
}

function isDue(value: unknown): value is TlsReportDue {
  if (!isObject(value)) return false
  const { day, dueAt, giveUpAt, attempts, sentTo, counts } = value
  return isDay(day) && [dueAt, giveUpAt, attempts].every(isCount) && isListOf(sentTo, isText) && isDomain(counts)
}

function isDomain(value: unknown): value is DomainCounts {
  return isObject(value) && isText(value['domain']) && isListOf(value['policies'], isPolicy)
}

function isPolicy(value: unknown): value is PolicyCounts {
  if (!isObject(value)) return false
  const { policy, successes, failures, details } = value
  return isFacts(policy) && isCount(successes) && isCount(failures) && isListOf(details, isDetail)
}

function isFacts(value: unknown): value is PolicyFacts {
  if (!isObject(value)) return false
  const { type, domain, strings, mxHosts } = value
  return POLICY_TYPES.includes(type) && isText(domain) && isListOf(strings, isText) && isListOf(mxHosts, isText)
}

function isDetail(value: unknown): boolean {
  if (!isObject(value)) return false
  const { type, host, sendingAddress, receivingAddress, detail, count } = value
  return [type, host, sendingAddress, receivingAddress, detail].every(isText) && isCount(count)
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isDay(value: unknown): value is string {
  return isText(value) && /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value))
}
