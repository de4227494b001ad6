/** Reads an answer: follows its CNAMEs (RFC 1034 3.6.2), and finds out how long it may be kept (RFC 2308). */
import { type Answer, type Failed, failed, type Records, type RecordType } from '../answer.ts'
import type { Entry, Message, Question } from './codec.ts'

/** The names that a lookup has come to, in their order, and the least TTL on the way. */
export interface Way {
  readonly names: readonly string[]
  readonly ttlSeconds: number
  readonly isAuthentic: boolean
}

/** The answer, or the way so far if the last name has to be asked for. */
export type Reading = Answer | { readonly status: 'further'; readonly way: Way }

/** CNAMEs that are followed. Resolvers follow 8 to 16. */
const MAX_CNAMES = 12

/** Reads the answer to a question for the last name of this way. */
export function readAnswer({ type }: Pick<Question, 'type'>, way: Way, message: Message): Reading {
  const refusal = failureOf(message)
  if (refusal !== undefined) return refusal
  const names = [...way.names]
  let { ttlSeconds } = way
  const isAuthentic = way.isAuthentic && message.isAuthentic
  for (;;) {
    const name = names.at(-1) ?? ''
    const found = message.answers.filter((entry) => entry.type === type && entry.name === name)
    if (found.length > 0) {
      ttlSeconds = Math.min(ttlSeconds, ...found.map((entry) => entry.ttlSeconds))
      return { status: 'found', records: recordsOf(type, found), name, ttlSeconds, isAuthentic }
    }
    const alias = message.answers.find((entry) => entry.type === 'CNAME' && entry.name === name)
    if (alias?.type !== 'CNAME') break
    if (names.includes(alias.value)) return failed('loop', 'CNAME records lead to each other')
    if (names.length > MAX_CNAMES) return failed('loop', `more than ${MAX_CNAMES} CNAME records`)
    names.push(alias.value)
    ttlSeconds = Math.min(ttlSeconds, alias.ttlSeconds)
  }
  const absentSeconds = Math.min(ttlSeconds, negativeTtl(message.authorities))
  if (message.responseCode === 'NXDOMAIN') return { status: 'nxdomain', ttlSeconds: absentSeconds, isAuthentic }
  const hasSoa = message.authorities.some((entry) => entry.type === 'SOA')
  if (names.length > way.names.length && !hasSoa) return { status: 'further', way: { names, ttlSeconds, isAuthentic } }
  if (!hasSoa && isReferral(message)) return failed('lame', 'the server only refers to others')
  return { status: 'nodata', ttlSeconds: absentSeconds, isAuthentic }
}

/** Returns the failure that a server tells; undefined if it answers. */
export function failureOf({ responseCode }: Message): Failed | undefined {
  switch (responseCode) {
    case 'NOERROR':
    case 'NXDOMAIN':
      return undefined
    case 'SERVFAIL':
      return failed('servfail', 'the server answers SERVFAIL')
    case 'REFUSED':
      return failed('refused', 'the server answers REFUSED')
    default:
      return failed('servfail', `the server answers ${responseCode}`)
  }
}

/** Returns whether a server that does not ask others says only whom to ask. */
export function isReferral({ answers, authorities, isAuthoritative, isRecursive }: Message): boolean {
  return answers.length === 0 && !isAuthoritative && !isRecursive && authorities.some(({ type }) => type === 'NS')
}

function recordsOf(type: RecordType, found: readonly Entry[]): readonly Records[RecordType][] {
  if (type !== 'MX') return found.map(({ value }) => value)
  const exchanges = found.flatMap((entry) => (entry.type === 'MX' ? [entry.value] : []))
  return exchanges.toSorted((one, other) => one.preference - other.preference)
}

/** RFC 2308 5: without a SOA, it may not be kept. */
function negativeTtl(authorities: readonly Entry[]): number {
  const soa = authorities.find((entry) => entry.type === 'SOA')
  return soa?.type === 'SOA' ? Math.min(soa.ttlSeconds, soa.value.minimumSeconds) : 0
}
