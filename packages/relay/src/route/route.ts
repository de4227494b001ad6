/** Finds the servers for a domain: the smarthost if one is set, or else by DNS (RFC 5321 5.1), with the TLS that each must have. */
import type { Resolver } from '@postern/dns/names'
import { type AddressRanges, addressRanges, asciiDomain } from '@postern/engine'
import { addressesOf, type Families, type HostAddresses, isOwn, literalAddress } from './addresses.ts'
import { daneOf } from './dane/records.ts'
import { type Exchanger, exchangersOf } from './exchangers.ts'
import {
  type FailedRoute,
  noPolicy,
  permanent,
  type PolicyFailure,
  type Route,
  type RouteHost,
  type Smarthost,
  temporary,
  type TlsRequirement,
} from './outcome.ts'
import { factsOf, isAllowed } from './sts/policy.ts'
import type { StsLookup, StsPolicies } from './sts/policies.ts'

export interface RouteOptions {
  readonly resolver: Resolver
  /** The names of this server. A domain whose best exchanger is one of them is a loop. */
  readonly ownNames: readonly string[]
  /** Addresses and ranges that lead back to this server. Default: those of loopback, and the unspecified ones. */
  readonly ownAddresses?: AddressRanges | undefined
  /** Takes all mail, or that for a domain in lower case. */
  readonly smarthost?: Smarthost | ((domain: string) => Smarthost | undefined) | undefined
  /** The port of exchangers. Default 25. */
  readonly port?: number | undefined
  readonly families?: Families | undefined
  /** Policies of MTA-STS. Default: none are looked for. */
  readonly sts?: StsPolicies | undefined
  /**
   * Use DANE: the resolver's servers check DNSSEC, and nobody can change their answers on the way. Default false.
   */
  readonly trustsDnssec?: boolean | undefined
  /** The message has REQUIRETLS (RFC 8689). Default false. */
  readonly requireTls?: boolean | undefined
  /** Default 10. */
  readonly maxHosts?: number | undefined
  /** Of one host. Default 8. */
  readonly maxAddresses?: number | undefined
  /** Chooses among exchangers of the same preference. Default `Math.random`. */
  readonly random?: (() => number) | undefined
  readonly signal?: AbortSignal | undefined
}

const OWN_ADDRESSES: AddressRanges = addressRanges(['127.0.0.0/8', '::1', '0.0.0.0', '::'])
const SMTP_PORT = 25

/** Finds the way for mail to a domain, as it is behind the `@` of an address. Rejects only for a bug. */
export async function route(domain: string, options: RouteOptions): Promise<Route> {
  const literal = domain.startsWith('[') ? literalAddress(domain) : undefined
  const name = literal === undefined ? asciiDomain(domain) : domain
  if (name === undefined) return permanent(550, '5.1.2', 'the address has no domain that mail can be sent to')
  const { smarthost } = options
  const server = typeof smarthost === 'function' ? smarthost(name) : smarthost
  if (server !== undefined) return routeToSmarthost(server, options)
  return literal === undefined ? routeToDomain(name, options) : routeToLiteral(name, literal, options)
}

async function routeToSmarthost(server: Smarthost, options: RouteOptions): Promise<Route> {
  const { host, port, path, protocol, implicitTls } = server
  const isAddress = literalAddress(host) !== undefined
  const tls = smarthostTls(server, options.requireTls ?? false)
  const common = { name: path === undefined ? host : '', protocol, port, path, implicitTls, tls, smarthost: server }
  if (path !== undefined)
    return { status: 'found', hosts: [{ ...common, addresses: [] }], isComplete: true, policyFailures: [] }
  const name = isAddress ? host : asciiDomain(host)
  const { addresses, failure } = await lookUp(name ?? host, options)
  if (addresses.length > 0)
    return { status: 'found', hosts: [{ ...common, addresses }], isComplete: true, policyFailures: [] }
  // The smarthost is our own choice. Mail waits until somebody has corrected it.
  return temporary('4.4.3', `the smarthost ${host} has no address${failure === undefined ? '' : `: ${failure}`}`)
}

function smarthostTls({ host, implicitTls, startTls, verify }: Smarthost, requireTls: boolean): TlsRequirement {
  const isRequired = startTls === 'required' || implicitTls || requireTls
  const isVerified = (verify ?? isRequired) || requireTls
  return {
    startTls: implicitTls ? 'never' : requireTls ? 'required' : startTls,
    verify: isVerified ? 'authorities' : 'nothing',
    isEnforced: isVerified,
    serverName: literalAddress(host) === undefined ? host : '',
    names: [host],
    tlsa: [],
    policy: noPolicy(host),
  }
}

function routeToLiteral(name: string, address: string, options: RouteOptions): Route {
  if (isOwn(address, options.ownAddresses ?? OWN_ADDRESSES)) return loop(name)
  if (options.requireTls === true) return noRequireTls(name, [])
  const { families = 'both', port = SMTP_PORT } = options
  if (families !== 'both' && address.includes(':') !== (families === 'ipv6'))
    return temporary('4.4.4', `${name} is of an address family that is not in use`)
  const tls = { ...opportunistic(name), serverName: '' }
  const host: RouteHost = { name, protocol: 'smtp', addresses: [address], port, implicitTls: false, tls }
  return { status: 'found', hosts: [host], isComplete: true, policyFailures: [] }
}

async function routeToDomain(domain: string, options: RouteOptions): Promise<Route> {
  const { resolver, random = Math.random, signal, maxHosts = 10, sts } = options
  const [found, lookup] = await Promise.all([
    exchangersOf(domain, resolver, random, { signal }),
    sts?.lookUp(domain, { signal }),
  ])
  if (found.status === 'failed') return found
  const all = withoutOwn(found.hosts, options)
  if (all.length === 0 && found.hosts.length > 0) return loop(domain)
  const looked = await Promise.all(
    all.slice(0, maxHosts).map(async (exchanger) => ({ exchanger, resolved: await lookUp(exchanger.name, options) })),
  )
  const wanted = beforeOwn(looked, options)
  if (wanted.length === 0 && looked.length > 0) return loop(domain)
  const reachable = wanted.filter(({ resolved }) => resolved.addresses.length > 0)
  if (reachable.length === 0)
    return unreachable(
      domain,
      wanted.map(({ resolved }) => resolved),
    )
  const choice = new HostChoice(domain, options, lookup, found.isAuthentic)
  const hosts = await Promise.all(reachable.map(({ exchanger, resolved }) => choice.hostOf(exchanger, resolved)))
  const isComplete =
    all.length <= maxHosts &&
    wanted.every(({ resolved: { addresses, failure } }) => addresses.length > 0 || failure === undefined)
  return choice.route(
    hosts.filter((host) => host !== undefined),
    isComplete,
  )
}

interface Looked {
  readonly exchanger: Exchanger
  readonly resolved: HostAddresses
}

/** Drops this server, and all that are not wanted more than it: they would send the mail back to it (RFC 5321 5.1). */
function withoutOwn(hosts: readonly Exchanger[], { ownNames }: RouteOptions): readonly Exchanger[] {
  const names = new Set(ownNames.map((name) => asciiDomain(name)))
  const own = hosts.find(({ name }) => names.has(name))
  return own === undefined ? hosts : hosts.filter(({ preference }) => preference < own.preference)
}

/** The same for hosts with an address of this server. */
function beforeOwn(looked: readonly Looked[], { ownAddresses = OWN_ADDRESSES }: RouteOptions): readonly Looked[] {
  const own = looked.find(({ resolved }) => resolved.addresses.some((address) => isOwn(address, ownAddresses)))
  return own === undefined ? looked : looked.filter(({ exchanger }) => exchanger.preference < own.exchanger.preference)
}

function lookUp(
  name: string,
  { resolver, families = 'both', maxAddresses = 8, signal }: RouteOptions,
): Promise<HostAddresses> {
  return addressesOf(name, resolver, families, maxAddresses, { signal })
}

function unreachable(domain: string, resolved: readonly HostAddresses[]): FailedRoute {
  const failure = resolved.find(({ failure }) => failure !== undefined)?.failure
  if (failure !== undefined) return temporary('4.4.3', `no server for ${domain} can be looked up: ${failure}`)
  return permanent(550, '5.4.4', `no server for ${domain} has an address`)
}

function loop(domain: string): FailedRoute {
  return permanent(554, '5.4.6', `mail for ${domain} would come back to this server`)
}

/** RFC 8689 4.2.1: the hosts must be known by DNSSEC or by a policy of MTA-STS. */
function noRequireTls(domain: string, policyFailures: readonly PolicyFailure[]): FailedRoute {
  const text = `REQUIRETLS: neither DNSSEC nor MTA-STS says which servers take mail for ${domain}`
  return permanent(550, '5.7.30', text, policyFailures)
}

function opportunistic(name: string): TlsRequirement {
  const policy = noPolicy(name)
  return {
    startTls: 'if-offered',
    verify: 'nothing',
    isEnforced: false,
    serverName: name,
    names: [name],
    tlsa: [],
    policy,
  }
}

/** Decides which hosts of a domain may be used, and what TLS each must have. */
class HostChoice {
  readonly #domain: string
  readonly #options: RouteOptions
  readonly #lookup: StsLookup | undefined
  readonly #isAuthentic: boolean
  readonly #failures: PolicyFailure[] = []
  #hasBogus = false

  constructor(domain: string, options: RouteOptions, lookup: StsLookup | undefined, isAuthentic: boolean) {
    this.#domain = domain
    this.#options = options
    this.#lookup = lookup
    // Whose word it is must be known too.
    this.#isAuthentic = isAuthentic && options.trustsDnssec === true
    if (lookup?.failure !== undefined) this.#failures.push({ ...lookup.failure, host: '' })
  }

  /** Returns undefined for a host that must not be used. */
  async hostOf({ name }: Exchanger, resolved: HostAddresses): Promise<RouteHost | undefined> {
    const { port = SMTP_PORT } = this.#options
    const tls = (await this.#dane(name, resolved)) ?? this.#sts(name)
    if (tls === 'forbidden') return undefined
    return { name, protocol: 'smtp', addresses: resolved.addresses, port, implicitTls: false, tls }
  }

  route(hosts: readonly RouteHost[], areAllLookedUp: boolean): Route {
    const failures = this.#failures
    const isComplete = areAllLookedUp && !this.#hasBogus
    if (hosts.length > 0) return { status: 'found', hosts, isComplete, policyFailures: failures }
    const domain = this.#domain
    if (this.#hasBogus) return temporary('4.7.0', `the TLSA records of ${domain} cannot be looked up`, failures)
    if (this.#policy === undefined && this.#options.requireTls === true) return noRequireTls(domain, failures)
    return temporary('4.7.0', `the MTA-STS policy of ${domain} allows none of its servers`, failures)
  }

  /** A host with TLSA records is held to them, whatever MTA-STS says (RFC 8461 2). */
  async #dane(name: string, resolved: HostAddresses): Promise<TlsRequirement | 'forbidden' | undefined> {
    if (!this.#isAuthentic || !resolved.isAuthentic) return undefined
    const { resolver, port = SMTP_PORT, signal } = this.#options
    const found = await daneOf(resolved.names, port, resolver, { signal })
    if (found.status === 'none') return undefined
    const { base } = found
    const policy = { type: 'tlsa', domain: base, strings: found.texts, mxHosts: [name] } as const
    if (found.status === 'failed') {
      // Somebody may suppress the records. So this host is as one that does not answer (RFC 7672 2.1.2).
      this.#hasBogus = true
      this.#failures.push({ type: 'dnssec-invalid', policy, host: name, detail: found.detail })
      return 'forbidden'
    }
    const names = [...new Set([base, name, this.#domain])]
    const common = { startTls: 'required', isEnforced: true, serverName: base, names, policy } as const
    if (found.usable.length > 0) return { ...common, verify: 'dane', tlsa: found.usable }
    const problem = { type: 'tlsa-invalid', detail: 'no TLSA record can be used' } as const
    // TLS is still required (RFC 7672 2.2).
    if (this.#options.requireTls !== true) return { ...common, verify: 'nothing', tlsa: [], problem }
    this.#failures.push({ ...problem, policy, host: name })
    return 'forbidden'
  }

  #sts(name: string): TlsRequirement | 'forbidden' {
    const { requireTls = false } = this.#options
    const policy = this.#policy
    if (policy === undefined) {
      const common = { ...opportunistic(name), policy: noPolicy(this.#domain) }
      if (!requireTls) return common
      return this.#isAuthentic ? { ...common, ...VERIFIED } : 'forbidden'
    }
    const facts = factsOf(this.#domain, policy)
    const common = { ...opportunistic(name), policy: facts }
    const problem = isAllowed(policy, name) ? undefined : NOT_LISTED
    if (policy.mode !== 'enforce' && !requireTls) {
      return { ...common, verify: 'authorities', ...(problem && { problem }) }
    }
    if (problem === undefined) return { ...common, ...VERIFIED }
    this.#failures.push({ ...problem, policy: facts, host: name })
    return 'forbidden'
  }

  /** The policy, unless it says that there is none. */
  get #policy(): StsLookup['policy'] {
    const policy = this.#lookup?.policy
    return policy?.mode === 'none' ? undefined : policy
  }
}

const NOT_LISTED = { type: 'validation-failure', detail: 'the policy does not list this host' } as const
const VERIFIED = { startTls: 'required', verify: 'authorities', isEnforced: true } as const
