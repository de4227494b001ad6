/** `postern user`: edits the accounts in the accounts file. Servers that use it read it again by themselves. */
import process from 'node:process'
import {
  type AccountData,
  formatScram,
  makeScramRecord,
  MAX_ITERATIONS,
  MIN_ITERATIONS,
  SCRAM_ITERATIONS,
} from '@postern/intake/directory'
import type { Settings } from '../../../config/settings.ts'
import { EXIT, Failure } from '../../../host/failure.ts'
import { complain, print, printJson } from '../../../host/output.ts'
import { Prompt } from '../../../host/prompt.ts'
import { isTerminal, safe, table } from '../../../host/terminal.ts'
import {
  checkedAddress,
  edit,
  isSameAddress,
  pathOf,
  readOrEmpty,
  sayDomainOf,
  withDomainOf,
} from '../../reading/accounts.ts'
import { readNewPassword } from '../../reading/new-password.ts'
import { rulesByTarget } from '../../reading/rules.ts'

/** The flags of `postern user`. */
export interface UserFlags {
  readonly password?: boolean
  readonly cramMd5?: boolean
  readonly iterations?: string
  readonly yes?: boolean
  readonly json?: boolean
}

export type UserAction = 'add' | 'passwd' | 'suspend' | 'resume' | 'remove' | 'list'

const PAST: Readonly<Record<Exclude<UserAction, 'list'>, string>> = {
  add: 'added',
  passwd: 'changed the password of',
  suspend: 'suspended',
  resume: 'resumed',
  remove: 'removed',
}

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
    const at = accounts.findIndex((account) => isSameAddress(account.address, name))
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

async function listUsers(path: string, { json }: UserFlags): Promise<void> {
  const { accounts = [], rules = [] } = readOrEmpty(path)
  const ruleOf = rulesByTarget(rules)
  const users = accounts.map(({ address, password, secret, certificates = [], suspended = false }) => ({
    address,
    logins: [
      ...(password === undefined ? [] : [password.startsWith('SCRAM') ? 'SCRAM' : 'password']),
      ...(secret === undefined ? [] : ['CRAM-MD5']),
      ...(certificates.length === 0 ? [] : ['certificate']),
    ],
    suspended,
    rule: ruleOf(address),
  }))
  if (json === true) return printJson(users)
  await print(
    table(
      users.map(({ address, logins, suspended, rule = [] }) => [
        address,
        logins.length === 0 ? 'no login' : logins.join(', '),
        suspended ? 'suspended' : '',
        safe(rule.join(', ')),
      ]),
    ),
  )
}

function find(accounts: readonly AccountData[], address: string): AccountData | undefined {
  return accounts.find((account) => isSameAddress(account.address, address))
}
