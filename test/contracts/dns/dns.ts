/** The contract of resolvers, and its outcomes on the runtime that runs this. */
import { createResolver, httpsUpstream, type Upstream } from '@postern/dns'
import { attempt, type Outcome, patiently, type Row } from '../outcome.ts'
import { answers } from './answers.ts'
import { type DnsCheck, type Ground, LONG_MS, type Place } from './check.ts'
import { waits } from './waits.ts'

export type Over = 'UDP' | 'HTTPS'

const CHECKS: readonly DnsCheck[] = [...answers, ...waits]

/** Checks that cannot pass on a runtime, by name, with the reason. */
export type Gaps = Readonly<Partial<Record<Over, Readonly<Record<string, string>>>>>

/** How a runtime asks a server at this place. */
export type Ways = Readonly<Partial<Record<Over, (place: Place) => Upstream>>>

/** Returns the checks that a runtime runs which has these ways. */
export function dnsRows(overs: readonly Over[]): Row[] {
  return overs.flatMap((subject) => checksOver(subject).map(({ name: check }) => ({ subject, check })))
}

export const overHttps = ({ url }: Place): Upstream => httpsUpstream(url)

/** @param runtime Goes into the names that are asked for, so that runtimes can ask the same server */
export async function* dnsOutcomes(
  runtime: string,
  ways: Ways,
  place: Place,
  gaps: Gaps = {},
): AsyncGenerator<Outcome> {
  for (const [subject, upstreamAt] of Object.entries(ways) as [Over, (place: Place) => Upstream][]) {
    const ground = groundAt(place, upstreamAt)
    yield* await Promise.all(
      checksOver(subject).map(async ({ name: check, run }, at): Promise<Outcome> => {
        const reason = gaps[subject]?.[check]
        if (reason !== undefined) return { subject, check, result: 'skipped', reason }
        const own = `${runtime}-${subject.toLowerCase()}-${at}.test`
        return { subject, check, ...(await attempt(() => patiently(run(ground, own)))) }
      }),
    )
  }
}

function checksOver(subject: Over): readonly DnsCheck[] {
  return CHECKS.filter(({ over }) => over === undefined || over === subject)
}

function groundAt(place: Place, upstreamAt: (place: Place) => Upstream): Ground {
  const upstream = upstreamAt(place)
  // Port 1 is for a service that nobody runs.
  const nobody = upstreamAt({ port: 1, url: 'http://127.0.0.1:1/dns-query' })
  return {
    upstream,
    nobody,
    make: (options) =>
      createResolver({ upstreams: [upstream], attemptTimeoutMs: LONG_MS, timeoutMs: LONG_MS, ...options }),
  }
}
