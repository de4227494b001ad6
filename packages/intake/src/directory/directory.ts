/**
 * The directory: which addresses receive mail, for which accounts, and who may log in. It is immutable; a change of the data makes
 * a new one.
 */
import { asciiDomain, type PeerCertificate } from '@postern/engine'
import { type AddressKey, keyOf, parseAddress, type RecipientAddress } from './address.ts'
import { type Account, type CheckedDirectory, checkDirectory } from './data.ts'
import type { Identity, IdentitySource } from './identities.ts'

/** What becomes of mail to an address. */
export type Resolution =
  /** It is received for these accounts. The list is empty for `postmaster` and `abuse` of a domain that has none. */
  | { readonly kind: 'accounts'; readonly accounts: readonly string[] }
  /** The account is suspended. */
  | { readonly kind: 'suspended' }
  /** The domain is ours, the address is not there. */
  | { readonly kind: 'unknown' }
  /** The domain is not ours. */
  | { readonly kind: 'elsewhere' }

/** RFC 5321 4.5.1, RFC 2142. They work without an account or alias of that name. */
const ALWAYS = ['postmaster', 'abuse']

const NO_ACCOUNTS: Resolution = { kind: 'accounts', accounts: [] }
const SUSPENDED: Resolution = { kind: 'suspended' }
const UNKNOWN: Resolution = { kind: 'unknown' }
const ELSEWHERE: Resolution = { kind: 'elsewhere' }

export interface DirectoryOptions {
  /** The caller reads the rules of the data with `rulesIn`. Default false: data with rules is refused. */
  readonly takesRules?: boolean
}

export class Directory implements IdentitySource {
  readonly #data: CheckedDirectory

  /** @param given What `JSON.parse` made of accounts.json. @throws DirectoryError */
  constructor(given: unknown, { takesRules = false }: DirectoryOptions = {}) {
    this.#data = checkDirectory(given, takesRules)
  }

  /** The domains that are received, in ASCII. */
  get domains(): readonly string[] {
    return [...this.#data.domains.keys()]
  }

  get accounts(): readonly Account[] {
    return [...this.#data.accounts.values()]
  }

  get identities(): readonly Identity[] {
    return this.accounts.filter(({ isSuspended }) => !isSuspended).map(identityOf)
  }

  /** The character between a local part and its tag; '' for none. */
  get separator(): string {
    return this.#data.separator
  }

  get secret(): string | undefined {
    return this.#data.secret
  }

  /**
   * Finds the accounts of an address: the exact address, the base of a `+tag`, an alias, a wildcard domain, the catch-all. A
   * suspended account refuses, and nothing further is looked for.
   */
  resolve({ localPart, domain }: RecipientAddress): Resolution {
    // RFC 5321 4.5.1: <postmaster> alone is always accepted.
    if (domain === '') return localPart.toLowerCase() === 'postmaster' ? this.#postmaster() : UNKNOWN
    const ascii = asciiDomain(domain)
    const homes = ascii === undefined ? [] : this.#homesOf(ascii)
    if (homes.length === 0) return ELSEWHERE
    for (const home of homes) {
      const found = this.#find(localPart, home)
      if (found !== undefined) return found
    }
    for (const home of homes) {
      const catchAll = this.#data.domains.get(home)
      if (catchAll !== undefined) return this.#follow(catchAll)
    }
    return ALWAYS.includes(localPart.toLowerCase()) ? NO_ACCOUNTS : UNKNOWN
  }

  /** Returns the accounts that an alias leads to; undefined if the address is not an alias. */
  expand({ localPart, domain }: RecipientAddress): readonly string[] | undefined {
    const key = keyOf(localPart, asciiDomain(domain) ?? '')
    if (!this.#data.aliases.has(key)) return undefined
    const found = this.#follow(key)
    return found.kind === 'accounts' ? found.accounts : []
  }

  /** Returns whether an account may send as an address: its own, with any tag, or an alias that leads to it. */
  maySendAs(account: string, address: RecipientAddress): boolean {
    if (this.identity(account) === undefined) {
      const domain = parseAddress(account)?.domain
      // Somebody else knows this user, unless it was an account when it logged in.
      return domain === undefined || this.#homesOf(domain).length === 0
    }
    const found = this.resolve(address)
    return found.kind === 'accounts' && found.accounts.includes(account)
  }

  /** Finds the account that a client logs in with: by its address, in any spelling. Suspended accounts are not found. */
  identity(username: string): Identity | undefined {
    const parsed = parseAddress(username)
    return identityOfActive(parsed && this.#data.accounts.get(keyOf(parsed.localPart, parsed.domain)))
  }

  certificateIdentity({ fingerprint }: PeerCertificate): Identity | undefined {
    return identityOfActive(this.#data.certificates.get(fingerprint))
  }

  /** Returns the domain, and the wildcard domains that it is below, the nearest first: those that are ours. */
  #homesOf(domain: string): string[] {
    const homes = this.#data.domains.has(domain) ? [domain] : []
    for (let dot = domain.indexOf('.'); dot !== -1; dot = domain.indexOf('.', dot + 1)) {
      const wildcard = `*${domain.slice(dot)}`
      if (this.#data.domains.has(wildcard)) homes.push(wildcard)
    }
    return homes
  }

  #find(localPart: string, home: string): Resolution | undefined {
    const exact = this.#account(keyOf(localPart, home))
    if (exact !== undefined) return exact
    const { separator, aliases } = this.#data
    const at = separator === '' ? -1 : localPart.indexOf(separator)
    const base = at > 0 ? keyOf(localPart.slice(0, at), home) : undefined
    const tagged = base === undefined ? undefined : this.#account(base)
    if (tagged !== undefined) return tagged
    const alias = [keyOf(localPart, home), base].find((key) => key !== undefined && aliases.has(key))
    return alias === undefined ? undefined : this.#follow(alias)
  }

  #account(key: AddressKey): Resolution | undefined {
    const account = this.#data.accounts.get(key)
    if (account === undefined) return undefined
    return account.isSuspended ? SUSPENDED : { kind: 'accounts', accounts: [account.address] }
  }

  /** Follows an alias to its accounts. Suspended ones are left out. */
  #follow(start: AddressKey): Resolution {
    const { accounts, aliases } = this.#data
    const found = new Set<string>()
    const follow = (key: AddressKey): void => {
      const account = accounts.get(key)
      if (account?.isSuspended === false) found.add(account.address)
      for (const target of aliases.get(key) ?? []) follow(target)
    }
    follow(start)
    return found.size === 0 ? SUSPENDED : { kind: 'accounts', accounts: [...found] }
  }

  /** The postmaster of the first domain that has one. */
  #postmaster(): Resolution {
    for (const home of this.#data.domains.keys()) {
      const found = this.#find('postmaster', home)
      if (found !== undefined) return found
    }
    return NO_ACCOUNTS
  }
}

function identityOf({ address, password, secret }: Account): Identity {
  return { user: address, password, secret }
}

function identityOfActive(account: Account | undefined): Identity | undefined {
  return account === undefined || account.isSuspended ? undefined : identityOf(account)
}
