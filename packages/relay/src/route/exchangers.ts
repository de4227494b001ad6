/** The mail exchangers of a domain: RFC 5321 5.1, RFC 7505 (null MX). */
import type { MxRecord, Resolver, ResolveOptions } from '@postern/dns/names'
import { asciiDomain } from '@postern/engine'
import { type FailedRoute, permanent, temporary } from './outcome.ts'

export interface Exchangers {
  readonly status: 'found'
  /** The most wanted first. Those with the same preference are in random order. */
  readonly hosts: readonly Exchanger[]
  /** DNSSEC vouches for the answer. */
  readonly isAuthentic: boolean
}

export interface Exchanger {
  readonly name: string
  readonly preference: number
}

/**
 * Looks up the exchangers. A domain without MX records is its own exchanger.
 * @param random Returns a number from 0 to less than 1
 */
export async function exchangersOf(
  domain: string,
  resolver: Resolver,
  random: () => number,
  options: ResolveOptions,
): Promise<Exchangers | FailedRoute> {
  const answer = await resolver.resolve(domain, 'MX', options)
  if (answer.status === 'failed')
    return temporary('4.4.3', `the MX records of ${domain} cannot be looked up: ${answer.detail}`)
  if (answer.status !== 'found') {
    if (answer.status === 'nxdomain') return permanent(550, '5.1.2', `the domain ${domain} does not exist`)
    return { status: 'found', hosts: [{ name: domain, preference: 0 }], isAuthentic: answer.isAuthentic }
  }
  const isNull = answer.records.every(({ exchange }) => exchange === '')
  if (isNull) return permanent(556, '5.1.10', `the domain ${domain} takes no mail (null MX)`)
  return { status: 'found', hosts: ordered(answer.records, random), isAuthentic: answer.isAuthentic }
}

function ordered(records: readonly MxRecord[], random: () => number): readonly Exchanger[] {
  const hosts = new Map<string, Exchanger & { readonly chance: number }>()
  for (const { exchange, preference } of records) {
    // Whoever has the domain chooses the names. The root is no host beside others (RFC 7505 3).
    const name = asciiDomain(exchange)
    if (name === undefined) continue
    const known = hosts.get(name)
    if (known === undefined || preference < known.preference) hosts.set(name, { name, preference, chance: random() })
  }
  return [...hosts.values()]
    .toSorted((one, other) => one.preference - other.preference || one.chance - other.chance)
    .map(({ name, preference }) => ({ name, preference }))
}
