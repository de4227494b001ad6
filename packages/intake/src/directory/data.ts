/**
 * The data of accounts.json: domains, accounts, aliases and rules, as JSON, and the checks of it. An error names the field, its value and
 * what is allowed, in one line.
 */
import { type AddressKey, keyOf, parseAddress, parseDomainName } from './address.ts'
import { parsePassword, PASSWORD_ALLOWED, type PasswordRecord } from './record.ts'
import type { RuleData } from './actions.ts'

/** accounts.json, as a person writes it. */
export interface DirectoryData {
  /** The domains whose mail is received: `example.com`, or `*.example.com` for all below it. */
  readonly domains?: readonly (string | DomainData)[]
  readonly accounts?: readonly AccountData[]
  readonly aliases?: readonly AliasData[]
  /** What becomes of mail to addresses and domains. They are asked where the rules of the server have none for the same address or domain. */
  readonly rules?: readonly RuleData[]
  /** The character between a local part and its tag: `jane+shop@example.com` goes to `jane@example.com`. Default '+'; '' for none. */
  readonly separator?: string
  /** Random text, made once. What a client may learn of names that do not exist comes from it. */
  readonly secret?: string
}

export interface DomainData {
  readonly name: string
  /** Receives what has no other recipient in this domain: an account or an alias. */
  readonly catchAll?: string
}

export interface AccountData {
  /** The address, which is also the name to log in with. */
  readonly address: string
  /** A record of the password, never the password itself. Without it the account can't log in by a password. */
  readonly password?: string
  /** The password in clear, for CRAM-MD5 alone. */
  readonly secret?: string
  /** SHA-256 of the client certificates that log in as this account, in hexadecimal. */
  readonly certificates?: readonly string[]
  /** The account neither receives nor logs in. Default false. */
  readonly suspended?: boolean
}

export interface AliasData {
  readonly address: string
  /** Accounts or other aliases. */
  readonly to: string | readonly string[]
}

/** An account that was checked. */
export interface Account {
  /** As it is written in the data. */
  readonly address: string
  readonly key: AddressKey
  readonly password: PasswordRecord | undefined
  readonly secret: string | undefined
  readonly isSuspended: boolean
}

/** The data, checked. Every map is by the key of an address, and every name is in one of them only. */
export interface CheckedDirectory {
  /** The catch-all of each domain, by its name in ASCII. */
  readonly domains: ReadonlyMap<string, AddressKey | undefined>
  readonly accounts: ReadonlyMap<AddressKey, Account>
  readonly aliases: ReadonlyMap<AddressKey, readonly AddressKey[]>
  /** Accounts by the fingerprints of their certificates. */
  readonly certificates: ReadonlyMap<string, Account>
  readonly separator: string
  readonly secret: string | undefined
}

/** A mistake in the data. */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError'
}

/** An alias may lead to another one, but not further than this. */
const MAX_ALIAS_DEPTH = 10
/** One message to an alias may reach so many accounts. */
const MAX_ALIAS_TARGETS = 1000
const ADDRESS = 'an address such as jane@example.com'
const DOMAIN = 'a domain such as example.com, or *.example.com for all below it'

/** Checks the data, except for rules. @param takesRules Whether the caller reads them. @throws DirectoryError */
export function checkDirectory(given: unknown, takesRules: boolean): CheckedDirectory {
  const data = object(given, '', [
    'domains',
    'accounts',
    'aliases',
    ...(takesRules ? ['rules'] : []),
    'separator',
    'secret',
  ])
  const separator = data['separator'] ?? '+'
  if (typeof separator !== 'string' || !/^[!#$%&'*+\-/=?^_`{|}~]?$/.test(separator)) {
    throw wrong('separator', separator, "one character of a local part, such as '+', or ''")
  }
  const secret = data['secret']
  if (secret !== undefined && (typeof secret !== 'string' || secret.length < 16)) {
    throw wrong('secret', undefined, 'a random text of at least 16 characters')
  }
  const names = list(data['domains'], 'domains').map(readDomain)
  const domains = new Map<string, AddressKey | undefined>()
  for (const [index, { name }] of names.entries()) {
    if (domains.has(name)) throw twice(`domains[${index}]`, name)
    domains.set(name, undefined)
  }
  const accounts = new Map<AddressKey, Account>()
  const certificates = new Map<string, Account>()
  const aliases = new Map<AddressKey, readonly AddressKey[]>()
  const claim = (path: string, key: AddressKey, address: string): void => {
    if (accounts.has(key) || aliases.has(key)) throw twice(path, address)
    if (!domains.has(domainOf(key))) throw unknownDomain(path, address)
  }
  for (const [index, item] of list(data['accounts'], 'accounts').entries()) {
    const path = `accounts[${index}]`
    const { account, fingerprints } = readAccount(item, path)
    claim(`${path}.address`, account.key, account.address)
    accounts.set(account.key, account)
    for (const fingerprint of fingerprints) {
      if (certificates.has(fingerprint)) throw twice(`${path}.certificates`, fingerprint)
      certificates.set(fingerprint, account)
    }
  }
  const written: { readonly path: string; readonly key: AddressKey; readonly to: readonly string[] }[] = []
  for (const [index, item] of list(data['aliases'], 'aliases').entries()) {
    const path = `aliases[${index}]`
    const { address, key, to } = readAlias(item, path)
    claim(`${path}.address`, key, address)
    aliases.set(key, [])
    written.push({ path, key, to })
  }
  const target = (address: string, path: string): AddressKey => {
    const key = keyOfText(address, path)
    if (accounts.has(key) || aliases.has(key)) return key
    if (!domains.has(domainOf(key))) throw unknownDomain(path, address)
    throw new DirectoryError(`${path}: there is no account or alias ${shown(address)}`)
  }
  for (const { path, key, to } of written) {
    aliases.set(
      key,
      to.map((address, index) => target(address, `${path}.to[${index}]`)),
    )
  }
  for (const { path, key } of written) checkAlias(path, key, aliases)
  for (const [index, { name, catchAll }] of names.entries()) {
    if (catchAll !== undefined) domains.set(name, target(catchAll, `domains[${index}].catchAll`))
  }
  return { domains, accounts, aliases, certificates, separator, secret: secret as string | undefined }
}

function readDomain(given: unknown, index: number): { readonly name: string; readonly catchAll: string | undefined } {
  const path = `domains[${index}]`
  const { name: written, catchAll } =
    typeof given === 'string' ? { name: given } : object(given, path, ['name', 'catchAll'])
  const name = typeof written === 'string' ? parseDomainName(written) : undefined
  if (name === undefined) throw wrong(typeof given === 'string' ? path : `${path}.name`, written, DOMAIN)
  if (catchAll !== undefined && typeof catchAll !== 'string') throw wrong(`${path}.catchAll`, catchAll, ADDRESS)
  return { name, catchAll }
}

function readAccount(given: unknown, path: string): { account: Account; fingerprints: readonly string[] } {
  const fields = object(given, path, ['address', 'password', 'secret', 'certificates', 'suspended'])
  const { address, password, secret, suspended = false } = fields
  if (typeof address !== 'string') throw wrong(`${path}.address`, address, ADDRESS)
  const key = keyOfText(address, `${path}.address`)
  const record = typeof password === 'string' ? parsePassword(password) : undefined
  // The value may be a password that somebody wrote there by mistake.
  if (password !== undefined && record === undefined) {
    throw new DirectoryError(`${path}.password of ${shown(address)}: the value (not shown) is not ${PASSWORD_ALLOWED}`)
  }
  if (secret !== undefined && (typeof secret !== 'string' || secret === '')) {
    throw new DirectoryError(`${path}.secret of ${shown(address)}: the value (not shown) is not a text`)
  }
  if (typeof suspended !== 'boolean') throw wrong(`${path}.suspended`, suspended, 'true or false')
  const fingerprints = list(fields['certificates'], `${path}.certificates`).map((fingerprint, index) => {
    const plain = typeof fingerprint === 'string' ? fingerprint.replaceAll(':', '').toLowerCase() : ''
    if (/^[0-9a-f]{64}$/.test(plain)) return plain
    throw wrong(`${path}.certificates[${index}]`, fingerprint, 'the SHA-256 of a certificate: 64 hexadecimal digits')
  })
  return { account: { address, key, password: record, secret, isSuspended: suspended }, fingerprints }
}

function readAlias(given: unknown, path: string): { address: string; key: AddressKey; to: readonly string[] } {
  const { address, to } = object(given, path, ['address', 'to'])
  if (typeof address !== 'string') throw wrong(`${path}.address`, address, ADDRESS)
  const targets: readonly unknown[] = typeof to === 'string' ? [to] : list(to, `${path}.to`)
  if (targets.length === 0) throw new DirectoryError(`${path}.to: needs an account or alias`)
  for (const [index, item] of targets.entries()) {
    if (typeof item !== 'string') throw wrong(`${path}.to[${index}]`, item, ADDRESS)
  }
  return { address, key: keyOfText(address, `${path}.address`), to: targets as readonly string[] }
}

/** Checks that an alias leads to accounts, without a loop. */
function checkAlias(path: string, start: AddressKey, aliases: CheckedDirectory['aliases']): void {
  let steps = 0
  const follow = (key: AddressKey, way: readonly AddressKey[]): void => {
    if (way.includes(key))
      throw new DirectoryError(`${path}: the alias leads back to itself: ${[...way, key].join(' → ')}`)
    if (way.length > MAX_ALIAS_DEPTH)
      throw new DirectoryError(`${path}: more than ${MAX_ALIAS_DEPTH} aliases follow one another`)
    if (++steps > MAX_ALIAS_TARGETS)
      throw new DirectoryError(`${path}: the alias reaches more than ${MAX_ALIAS_TARGETS} addresses`)
    for (const target of aliases.get(key) ?? []) follow(target, [...way, key])
  }
  follow(start, [])
}

function keyOfText(address: string, path: string): AddressKey {
  const parsed = parseAddress(address)
  if (parsed === undefined) throw wrong(path, address, ADDRESS)
  return keyOf(parsed.localPart, parsed.domain)
}

function domainOf(key: AddressKey): string {
  return key.slice(key.lastIndexOf('@') + 1)
}

function object(given: unknown, path: string, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw wrong(path === '' ? 'the file' : path, given, `an object with ${known.join(', ')}`)
  }
  const unknown = Object.keys(given).find((name) => !known.includes(name))
  if (unknown === undefined) return given as Readonly<Record<string, unknown>>
  const where = path === '' ? unknown : `${path}.${unknown}`
  throw new DirectoryError(`${where}: there is no such field; the fields are ${known.join(', ')}`)
}

function list(given: unknown, path: string): readonly unknown[] {
  if (given === undefined) return []
  if (!Array.isArray(given)) throw wrong(path, given, 'a list')
  return given
}

function wrong(path: string, value: unknown, allowed: string): DirectoryError {
  return new DirectoryError(`${path}: ${shown(value)} is not ${allowed}`)
}

function twice(path: string, value: string): DirectoryError {
  return new DirectoryError(`${path}: ${shown(value)} is there twice; remove one`)
}

function unknownDomain(path: string, address: string): DirectoryError {
  return new DirectoryError(`${path}: the domain of ${shown(address)} is not among \`domains\`; add it there`)
}

function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return JSON.stringify(typeof value === 'string' ? value.slice(0, 100) : value) ?? 'nothing'
}
