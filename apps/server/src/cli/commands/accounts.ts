/** `postern user`, `postern alias` and `postern domain`: edit the accounts file. Servers that use it read it again by themselves. */
import { existsSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type AccountData,
  type AliasData,
  type DirectoryData,
  type DomainData,
  formatScram,
  makeScramRecord,
  MAX_ITERATIONS,
  MIN_ITERATIONS,
  parseAddress,
  parseDomainName,
  SCRAM_ITERATIONS,
} from '@postern/intake/directory'
import { readAccounts, writeAccounts } from '../../config/file/accounts-file.ts'
import { accountsBeside, type Settings } from '../../config/settings.ts'
import { EXIT, errorCode, Failure } from '../../host/failure.ts'
import { complain, print, printJson } from '../../host/output.ts'
import { Prompt } from '../../host/prompt.ts'
import { isTerminal, safe, table } from '../../host/terminal.ts'
import { readNewPassword } from '../reading/new-password.ts'

/** The flags of `postern user`. */
export interface UserFlags {
  readonly password?: boolean
  readonly cramMd5?: boolean
  readonly iterations?: string
  readonly yes?: boolean
  readonly json?: boolean
}

/** The flags of `postern domain`. */
export interface DomainFlags {
  readonly catchAll?: string
  readonly json?: boolean
}

export type UserAction = 'add' | 'passwd' | 'suspend' | 'resume' | 'remove' | 'list'
export type ListAction = 'add' | 'remove' | 'list'

/** How long another command may hold the file. */
const LOCK_WAIT_MS = 5_000
const LOCK_RETRY_MS = 50

/** Runs `postern user`. @throws Failure */
export async function user(
  settings: Settings,
  action: UserAction,
  address: string | undefined,
  flags: UserFlags,
): Promise<void> {
  const path = pathOf(settings)
  if (action === 'list') return listUsers(path, flags)
  const command = `user ${action}`
  const name = checkedAddress(command, address)
  if (flags.cramMd5 === true && flags.password === false) {
    throw new Failure(`${command}: --cram-md5 needs a password; remove --no-password`)
  }
  const iterations = iterationsOf(flags)
  const isNew = action === 'add'
  // Asks before it locks the file. A mistake in the address is reported before the question.
  const found = find(readOrEmpty(path).accounts ?? [], name)
  if (isNew && found !== undefined) throw new Failure(`${command}: ${name} is there already; use postern user passwd`)
  if (!isNew && found === undefined) throw new Failure(`${command}: there is no account ${name}`, EXIT.failed)
  const login = action === 'add' || action === 'passwd' ? await askLogin(command, flags, iterations) : {}
  let isDomainNew = false
  await edit(path, (data) => {
    const accounts = data.accounts ?? []
    const at = accounts.findIndex((account) => isSame(account.address, name))
    if (isNew) {
      const withDomain = withDomainOf(data, name)
      isDomainNew = withDomain !== data
      return { ...withDomain, accounts: [...accounts, { address: name, ...login }] }
    }
    const account = accounts[at]
    if (account === undefined) throw new Failure(`${command}: there is no account ${name}`, EXIT.failed)
    if (action === 'remove') return { ...data, accounts: accounts.toSpliced(at, 1) }
    return { ...data, accounts: accounts.with(at, changed(account, action, login)) }
  })
  if (isDomainNew) sayDomainOf(name)
  await print(`${PAST[action]} ${safe(name)}\n`)
}

/** Runs `postern alias`. @throws Failure */
export async function alias(
  settings: Settings,
  action: ListAction,
  address: string | undefined,
  to: readonly string[],
  { json }: { readonly json?: boolean },
): Promise<void> {
  const path = pathOf(settings)
  if (action === 'list') return listAliases(path, json)
  const command = `alias ${action}`
  const name = checkedAddress(command, address)
  const targets = to.map((target) => checkedAddress(command, target))
  if (action === 'add' && targets.length === 0) throw new Failure(`${command}: give the accounts that get its mail`)
  let isDomainNew = false
  await edit(path, (data) => {
    const aliases = data.aliases ?? []
    const at = aliases.findIndex((other) => isSame(other.address, name))
    if (action === 'add') {
      const withDomain = withDomainOf(data, name)
      isDomainNew = withDomain !== data
      return { ...withDomain, aliases: withTargets(aliases, at, name, targets) }
    }
    const found = aliases[at]
    if (found === undefined) throw new Failure(`${command}: there is no alias ${name}`, EXIT.failed)
    const left = targetsOf(found).filter((target) => !targets.some((other) => isSame(target, other)))
    const isWhole = targets.length === 0 || left.length === 0
    return { ...data, aliases: isWhole ? aliases.toSpliced(at, 1) : aliases.with(at, { ...found, to: left }) }
  })
  if (isDomainNew) sayDomainOf(name)
  await print(`${PAST[action]} ${safe(name)}\n`)
}

/** Runs `postern domain`. @throws Failure */
export async function domain(
  settings: Settings,
  action: ListAction,
  name: string | undefined,
  { catchAll, json }: DomainFlags,
): Promise<void> {
  const path = pathOf(settings)
  if (action === 'list') return listDomains(path, json)
  const command = `domain ${action}`
  const ascii = parseDomainName(name ?? '')
  if (name === undefined || ascii === undefined) {
    const shown = name === undefined ? 'nothing' : JSON.stringify(name)
    throw new Failure(`${command}: ${shown} is not a domain such as example.com, or *.example.com for all below it`)
  }
  const receiver = catchAll === undefined ? undefined : checkedAddress('--catch-all', catchAll)
  await edit(path, (data) => {
    const domains = data.domains ?? []
    const at = domains.findIndex((other) => parseDomainName(domainName(other)) === ascii)
    const entry = receiver === undefined ? name : { name, catchAll: receiver }
    if (action === 'add') return { ...data, domains: at === -1 ? [...domains, entry] : domains.with(at, entry) }
    if (at === -1) throw new Failure(`${command}: there is no domain ${name}`, EXIT.failed)
    return { ...data, domains: domains.toSpliced(at, 1) }
  })
  await print(`${PAST[action]} ${safe(name)}\n`)
}

const PAST: Readonly<Record<Exclude<UserAction, 'list'>, string>> = {
  add: 'added',
  passwd: 'changed the password of',
  suspend: 'suspended',
  resume: 'resumed',
  remove: 'removed',
}

function pathOf({ file, options, spelled }: Settings): string {
  const { accounts } = options
  if (accounts === undefined) return accountsBeside(file)
  if (typeof accounts === 'string') return accounts
  throw new Failure(`${spelled('accounts')}: your own accounts are in use there; this command edits a file of accounts`)
}

function readOrEmpty(path: string): DirectoryData {
  return existsSync(path) ? readAccounts(path).data : {}
}

/** Changes the file, while no other command does. @throws Failure */
async function edit(path: string, change: (data: DirectoryData) => DirectoryData): Promise<void> {
  const lock = `${path}.lock`
  await takeLock(lock)
  try {
    await writeAccounts(path, change(readOrEmpty(path)))
  } finally {
    await rm(lock, { force: true })
  }
}

async function takeLock(lock: string): Promise<void> {
  for (const endMs = Date.now() + LOCK_WAIT_MS; ;) {
    try {
      return await (await open(lock, 'wx')).close()
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw new Failure(`${lock}: cannot be made (${errorCode(error)})`)
      if (Date.now() > endMs) {
        throw new Failure(`${lock}: another command holds the file; remove it if there is none`, EXIT.failed)
      }
      await delay(LOCK_RETRY_MS)
    }
  }
}

function iterationsOf({ iterations }: UserFlags): number {
  if (iterations === undefined) return SCRAM_ITERATIONS
  const count = /^\d{1,8}$/.test(iterations) ? Number(iterations) : 0
  if (count < MIN_ITERATIONS || count > MAX_ITERATIONS) {
    throw new Failure(
      `--iterations: ${JSON.stringify(iterations)} is not a whole number, from ${MIN_ITERATIONS} to ${MAX_ITERATIONS}`,
    )
  }
  return count
}

async function askLogin(
  command: string,
  { password: wantsPassword, cramMd5 = false, yes }: UserFlags,
  iterations: number,
): Promise<Pick<AccountData, 'password' | 'secret'>> {
  if (wantsPassword === false) return {}
  if (cramMd5 && yes !== true) await confirmSecret(command)
  if (iterations > SCRAM_ITERATIONS) {
    complain(`warning: a Worker on Cloudflare can check at most ${SCRAM_ITERATIONS} iterations`)
  }
  const password = await readNewPassword(command)
  try {
    const record = formatScram(await makeScramRecord(password, iterations))
    return { password: record, ...(cramMd5 && { secret: password }) }
  } catch (cause) {
    throw new Failure(`${command}: the password has a character that is not allowed (RFC 4013)`, EXIT.misused, {
      cause,
    })
  }
}

/** CRAM-MD5 needs the password itself. */
async function confirmSecret(command: string): Promise<void> {
  if (!isTerminal(process.stdin)) {
    throw new Failure(`${command} --cram-md5: the password is then stored in clear; give --yes if you want that`)
  }
  const prompt = new Prompt(command)
  try {
    const question = 'For CRAM-MD5 the password is stored in clear, for everybody who can read the file. Type yes: '
    const answer = await prompt.ask(question, { isShown: true })
    if (answer.trim().toLowerCase() !== 'yes') throw new Failure(`${command}: nothing was changed`, EXIT.failed)
  } finally {
    prompt.close()
  }
}

function changed(
  account: AccountData,
  action: UserAction,
  login: Pick<AccountData, 'password' | 'secret'>,
): AccountData {
  const { password: _password, secret: _secret, suspended: _suspended, ...rest } = account
  switch (action) {
    case 'passwd':
      return { ...rest, ...login, ...(account.suspended === true && { suspended: true }) }
    case 'suspend':
      return { ...account, suspended: true }
    default: {
      const { suspended: _, ...active } = account
      return active
    }
  }
}

/** Adds the domain of an address, if no domain receives it yet. */
function withDomainOf(data: DirectoryData, address: string): DirectoryData {
  const name = parseAddress(address)?.domain ?? ''
  const domains = data.domains ?? []
  if (domains.some((other) => parseDomainName(domainName(other)) === name)) return data
  return { ...data, domains: [...domains, name] }
}

/** Says that the domain of an address was added. Called after the file is written, because a refused edit adds nothing. */
function sayDomainOf(address: string): void {
  complain(`added the domain ${parseAddress(address)?.domain ?? ''}`)
}

function withTargets(
  aliases: readonly AliasData[],
  at: number,
  address: string,
  targets: readonly string[],
): readonly AliasData[] {
  const found = aliases[at]
  if (found === undefined) return [...aliases, { address, to: targets }]
  const known = targetsOf(found)
  const added = targets.filter((target) => !known.some((other) => isSame(other, target)))
  return aliases.with(at, { ...found, to: [...known, ...added] })
}

async function listUsers(path: string, { json }: UserFlags): Promise<void> {
  const { accounts = [] } = readOrEmpty(path)
  const users = accounts.map(({ address, password, secret, certificates = [], suspended = false }) => ({
    address,
    logins: [
      ...(password === undefined ? [] : [password.startsWith('SCRAM') ? 'SCRAM' : 'password']),
      ...(secret === undefined ? [] : ['CRAM-MD5']),
      ...(certificates.length === 0 ? [] : ['certificate']),
    ],
    suspended,
  }))
  if (json === true) return printJson(users)
  await print(
    table(
      users.map(({ address, logins, suspended }) => [
        address,
        logins.length === 0 ? 'no login' : logins.join(', '),
        suspended ? 'suspended' : '',
      ]),
    ),
  )
}

async function listAliases(path: string, json: boolean | undefined): Promise<void> {
  const { aliases = [] } = readOrEmpty(path)
  const rows = aliases.map((one) => ({ address: one.address, to: targetsOf(one) }))
  if (json === true) return printJson(rows)
  await print(table(rows.map(({ address, to }) => [address, to.join(', ')])))
}

async function listDomains(path: string, json: boolean | undefined): Promise<void> {
  const { domains = [] } = readOrEmpty(path)
  const rows = domains.map((one): DomainData => (typeof one === 'string' ? { name: one } : one))
  if (json === true) return printJson(rows)
  await print(
    table(rows.map(({ name, catchAll }) => [name, catchAll === undefined ? '' : `everything else to ${catchAll}`])),
  )
}

function checkedAddress(what: string, address: string | undefined): string {
  if (address !== undefined && parseAddress(address) !== undefined) return address
  const shown = address === undefined ? 'nothing' : JSON.stringify(address)
  throw new Failure(`${what}: ${shown} is not an address such as jane@example.com`)
}

function find(accounts: readonly AccountData[], address: string): AccountData | undefined {
  return accounts.find((account) => isSame(account.address, address))
}

/** Returns whether two texts are the same address. */
function isSame(one: string, other: string): boolean {
  const [a, b] = [one, other].map(parseAddress)
  return (
    a !== undefined &&
    b !== undefined &&
    a.domain === b.domain &&
    a.localPart.toLowerCase() === b.localPart.toLowerCase()
  )
}

function domainName(given: string | DomainData): string {
  return typeof given === 'string' ? given : given.name
}

function targetsOf({ to }: AliasData): readonly string[] {
  return typeof to === 'string' ? [to] : to
}
