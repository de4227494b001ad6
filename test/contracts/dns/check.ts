/** What the checks of resolvers have in common: plain data, without a test runner and for any runtime. */
import type { Answer, CountingResolver, RecordType, ResolverOptions, Upstream } from '@postern/dns'

/** Where the server of `scenes.ts` is. */
export interface Place {
  readonly port: number
  readonly url: string
}

/** The way in which a runtime asks that server. */
export interface Ground {
  /** Asks the server of the contract. */
  readonly upstream: Upstream
  /** Asks where nothing listens. */
  readonly nobody: Upstream
  /** Makes a resolver that nobody has used. Its waits are long: no check depends on the speed of the machine. */
  make(options?: Partial<ResolverOptions>): CountingResolver
}

export interface DnsCheck {
  readonly name: string
  /** Only over this one. Default: over each. */
  readonly over?: 'UDP' | 'HTTPS'
  /** @param own Ends a name that no other check has: `host.${own}` */
  run(ground: Ground, own: string): Promise<void>
}

/** Longer than any answer takes on a busy machine. */
export const LONG_MS = 60_000

export async function expectAnswer(answer: Promise<Answer>, expected: Answer): Promise<void> {
  const [actual, wanted] = [textOf(await answer), textOf(expected)]
  if (actual !== wanted) throw new Error(`the answer is ${actual}, not ${wanted}`)
}

/** Checks that it is a failure, whose detail may be any line. */
export async function expectFailure(answer: Promise<Answer>, ...reasons: readonly string[]): Promise<void> {
  const actual = await answer
  if (actual.status !== 'failed' || !reasons.includes(actual.reason))
    throw new Error(`the answer is ${textOf(actual)}, not a failure with the reason ${reasons.join(' or ')}`)
  if (actual.detail === '' || /[^\x20-\x7e]/.test(actual.detail)) throw new Error(`${actual.detail} is not a line`)
}

export function expectEqual(actual: unknown, expected: unknown, what: string): void {
  const [one, other] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (one !== other) throw new Error(`${what}: ${one}, not ${other}`)
}

/** Makes an answer with records. */
export function found<Type extends RecordType>(
  name: string,
  records: Extract<Answer<Type>, { status: 'found' }>['records'],
  { ttlSeconds = 300, isAuthentic = false }: { readonly ttlSeconds?: number; readonly isAuthentic?: boolean } = {},
): Answer<Type> {
  return { status: 'found', records, name, ttlSeconds, isAuthentic }
}

export function absent(status: 'nodata' | 'nxdomain', ttlSeconds: number): Answer {
  return { status, ttlSeconds, isAuthentic: false }
}

/** The properties of an object in one order, and octets as a list. */
function textOf(answer: Answer): string {
  return JSON.stringify(answer, (_, value: unknown) => {
    if (value instanceof Uint8Array) return [...value]
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)))
  })
}
