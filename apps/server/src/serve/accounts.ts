/**
 * The accounts of a server: those of a file, which is read again when it changes, the user's own, and the users of the options. The file
 * has rules too, which are asked together with those of the config file.
 */
import { usersSource } from '@postern/intake/accounts'
import {
  type Directory,
  Identities,
  type IdentitySource,
  type Rules,
  SCRAM_ITERATIONS,
} from '@postern/intake/directory'
import type { AddressBook } from '@postern/intake/guards'
import type { AuthenticatorDeps } from '@postern/intake/logins'
import type { Logger } from '@logtape/logtape'
import { joinedRules, readAccounts } from '../config/file/accounts-file.ts'
import type { OwnAccounts } from '../config/options/users.ts'
import type { Settings } from '../config/settings.ts'
import { errorText, Failure } from '../host/failure.ts'
import { watchFiles } from '../host/file-watch.ts'

/** Says who receives mail, and who may log in. */
export interface Accounts extends Pick<AuthenticatorDeps, 'checkToken' | 'identities' | 'kinds' | 'own'> {
  /** Returns the addresses that receive mail. Missing if the server receives for every address. */
  readonly book: (() => AddressBook) | undefined
  /** Returns the rules of the options and of the file. */
  rules(): Rules
  /** Stops to watch the file. */
  close(): void
}

/** Opens the accounts. @param log Gets a line for each change of the file. @throws Failure */
export async function openAccounts(settings: Settings, log: Logger | undefined): Promise<Accounts> {
  const { acceptAnyLogin } = settings.options
  if (acceptAnyLogin !== 'no') {
    log?.warn('every name is accepted with every password, because --accept-any-login is given', { acceptAnyLogin })
  }
  const checkToken = await tokenCheck(settings)
  const opened = open(settings, log)
  return {
    ...opened,
    ...(checkToken !== undefined && { checkToken: forAccounts(checkToken, opened) }),
    ...(acceptAnyLogin !== 'no' && { own: ANYBODY }),
  }
}

/** Accepts every login whose mechanism shows a name. */
const ANYBODY: OwnAccounts = {
  checkPassword: ({ username }) => ({ user: username }),
  checkToken: (_, username) => ({ user: username === '' ? 'anybody' : username }),
}

/** Loads the library for tokens only if they are used. @throws Failure */
async function tokenCheck({ options: { oauth }, spelled }: Settings): Promise<AuthenticatorDeps['checkToken']> {
  if (oauth === undefined) return undefined
  const { tokenAccounts } = await import('@postern/intake/tokens')
  try {
    return tokenAccounts(oauth).checkToken
  } catch (error) {
    throw new Failure(`${spelled('oauth')}.${errorText(error)}`)
  }
}

/** If there is a file of accounts, a token logs in only as one of them. */
function forAccounts(
  checkToken: NonNullable<AuthenticatorDeps['checkToken']>,
  { book, identities }: Accounts,
): NonNullable<AuthenticatorDeps['checkToken']> {
  if (book === undefined) return checkToken
  return async (token, username) => {
    const answer = await checkToken(token, username)
    return answer !== undefined && 'user' in answer ? identities().find(answer.user) : answer
  }
}

function open(settings: Settings, log: Logger | undefined): Accounts {
  const { accounts, users } = settings.options
  const usersOf = usersSource(users)
  if (typeof accounts !== 'string') return fixed(accounts, usersOf, settings)
  let { directory, rules } = readFile(settings, accounts)
  let identities = new Identities([directory, usersOf])
  warnOfIterations(directory, log)
  const stop = watchFiles([accounts], () => {
    try {
      ;({ directory, rules } = readFile(settings, accounts))
      identities = new Identities([directory, usersOf])
      log?.info('accounts read again', { file: accounts, accounts: directory.accounts.length })
      warnOfIterations(directory, log)
    } catch (error) {
      log?.error('accounts could not be read again; the server keeps the old ones', { reason: errorText(error) })
    }
  })
  const { kinds } = identities
  return {
    own: {},
    identities: () => identities,
    // `postern user add` makes records that serve PLAIN, LOGIN and SCRAM, so these are offered before the first account is there.
    kinds: {
      password: true,
      scram: kinds.scram || !kinds.password,
      secret: kinds.secret,
      certificate: true,
    },
    book: () => directory,
    rules: () => rules,
    close: stop,
  }
}

/** Reads the file, and checks its rules. @throws Failure */
function readFile(settings: Settings, path: string): { directory: Directory; rules: Rules } {
  const { options, origin, spelled } = settings
  const named = origin('accounts') === 'default' ? path : `${spelled('accounts')} ${path}`
  const { directory, rules } = readAccounts(path, named)
  if (options.relay === 'off' && rules.sendOn) {
    throw new Failure(`${named}: rules: needs ${spelled('relay')}, because a rule sends mail on`)
  }
  return { directory, rules: joinedRules(options.rules, rules, named) }
}

function fixed(own: OwnAccounts | undefined, users: IdentitySource, { options: { rules } }: Settings): Accounts {
  const identities = new Identities([users])
  return {
    own: own ?? {},
    identities: () => identities,
    kinds: { ...identities.kinds, certificate: false },
    book: own?.resolve === undefined ? undefined : () => own as AddressBook,
    rules: () => rules,
    close() {},
  }
}

function warnOfIterations(directory: Directory, log: Logger | undefined): void {
  const many = directory.accounts.filter(
    ({ password }) => password?.kind === 'scram' && password.iterations > SCRAM_ITERATIONS,
  )
  if (many.length === 0) return
  log?.warn('password records have more iterations than a Worker on Cloudflare can check', {
    accounts: many.slice(0, 20).map(({ address }) => address),
    count: many.length,
    allowed: SCRAM_ITERATIONS,
  })
}
