/** Users, and how they log in. */
import { type AccountsWith, MECHANISMS, type MechanismName, type Session } from '@postern/engine'
import { parseUser, type User } from '@postern/intake/accounts'
import type { AddressBook } from '@postern/intake/guards'
import type { TokenOptions } from '@postern/intake/tokens'
import { Failure } from '../../host/failure.ts'
import { custom, list, nonEmpty, ONE_LINE, oneOf, optional, parsed, parsedText } from '../values/schema.ts'
import { type Choice, needs, onOff, type Option, type ValuesOf } from './row.ts'
import type { PolicyRows } from './policy.ts'
import type { WhereRows } from './where.ts'

export type AuthMechanism = MechanismName

export interface UserRows {
  /** Users who may send: `name:hash`, with a hash from `postern hash`. */
  readonly users: Option<string | readonly string[], readonly User[]>
  /** Refuse mail until AUTH has succeeded, on every address. Default false. */
  readonly authRequired: Option<boolean, boolean>
  /** The text of `530 5.7.0`, which refuses mail before AUTH. */
  readonly authRequiredText: Option<string, string>
  /** Offer AUTH also without TLS. Passwords are then sent without encryption. Default false. */
  readonly authWithoutTls: Option<boolean, boolean>
  /** The AUTH mechanisms to offer, in this order. Default: all. */
  readonly authMechanisms: Option<AuthMechanism | readonly AuthMechanism[], readonly AuthMechanism[] | undefined>
  /**
   * The file with domains, accounts, aliases and rules, which `postern user`, `postern alias`, `postern domain` and `postern rule` edit; or accounts of your own.
   * Default: `accounts.json` beside the config file, if there is one.
   */
  readonly accounts: Option<string | OwnAccounts, string | OwnAccounts | undefined>
  /**
   * Accepts the tokens of OAUTHBEARER and XOAUTH2: JWTs by the keys of their issuer, `{ jwt: { jwks, issuer, audience } }`, or any token by
   * asking the issuer, `{ introspection: { url, clientId, clientSecret } }`.
   */
  readonly oauth: Option<TokenOptions, TokenOptions | undefined>
  /** Accepts every name with every password, for programs under test: `loopback` only if all addresses are on this machine. Default `no`. */
  readonly acceptAnyLogin: Option<AnyLogin, AnyLogin>
}

type AnyLogin = 'no' | 'loopback' | 'everywhere'

/** Accounts of your own: methods for logins, and for addresses. Each is optional. They are asked before the other options. */
export interface OwnAccounts extends AccountsWith<Session>, Partial<AddressBook> {}

const group = 'Users:'
const ACCOUNTS_ALLOWED =
  'the path of a file, or an object of functions called checkPassword, scramKeys, sharedSecret, checkToken, certificateUser, resolve, expand, maySendAs'
const AUTH_MECHANISMS = Object.keys(MECHANISMS) as readonly AuthMechanism[]
const USERS = 'a user who may send: give --users, or run postern user add'
const LOGIN_METHODS = ['checkPassword', 'scramKeys', 'sharedSecret', 'checkToken', 'certificateUser'] as const
const ADDRESS_METHODS = ['resolve', 'expand', 'maySendAs'] as const
const ACCOUNT_METHODS: readonly string[] = [...LOGIN_METHODS, ...ADDRESS_METHODS]

export const userRows: UserRows = {
  users: {
    schema: list(parsedText(parseUser, 'name:hash, with a hash that `postern hash` made')),
    byDefault: [],
    help: 'user who may send, as name:hash; `postern hash` makes the hash',
    group,
    value: 'name:hash',
    repeatable: true,
    secret: true,
  },
  authRequired: onOff({ group, help: 'refuse mail until AUTH has succeeded' }),
  authRequiredText: {
    schema: ONE_LINE,
    byDefault: 'Authentication required',
    help: 'text of 530 5.7.0, which refuses mail before AUTH',
    group,
    value: 'text',
  },
  authWithoutTls: onOff({ group, help: 'offer AUTH also without TLS: passwords are then sent without encryption' }),
  authMechanisms: {
    schema: optional(nonEmpty(list(oneOf(...AUTH_MECHANISMS)))),
    byDefault: undefined,
    help: `AUTH mechanism to offer: ${AUTH_MECHANISMS.join(', ')}`,
    group,
    value: 'name',
    repeatable: true,
    docs: { byDefault: 'those that the users can log in with' },
  },
  accounts: {
    schema: optional(parsed<string | OwnAccounts>(parseAccounts, ACCOUNTS_ALLOWED)),
    byDefault: undefined,
    help: 'file with domains, accounts, aliases and rules; postern user, alias, domain and rule edit it',
    group,
    value: 'file',
    docs: { more: '(see [Accounts](#accounts))', byDefault: 'accounts.json beside the config file, if there is one' },
  },
  oauth: {
    // The value has a secret, so the error must not show it.
    schema: optional(
      custom(
        isOauth,
        'an object with jwt: { jwks, issuer, audience } or introspection: { url, clientId, clientSecret }',
      ),
    ),
    byDefault: undefined,
    help: 'how tokens of OAUTHBEARER and XOAUTH2 are checked',
    group,
    value: 'services',
    secret: true,
    fileOnly: true,
  },
  acceptAnyLogin: {
    schema: oneOf('no', 'loopback', 'everywhere'),
    byDefault: 'no',
    help: 'accept every name with every password, for programs under test: no, loopback (if all addresses are on this machine), everywhere',
    group,
    value: 'where',
  },
}

function isOauth(given: unknown): given is TokenOptions {
  if (typeof given !== 'object' || given === null) return false
  const { jwt, introspection, userClaim, ...others } = given as Record<string, unknown>
  const isKind = (kind: unknown, names: readonly string[]): boolean =>
    kind === undefined ||
    (typeof kind === 'object' &&
      kind !== null &&
      names.every((name) => (kind as Record<string, unknown>)[name] !== undefined))
  return (
    (jwt !== undefined || introspection !== undefined) &&
    isKind(jwt, ['jwks', 'issuer', 'audience']) &&
    isKind(introspection, ['url', 'clientId', 'clientSecret']) &&
    ['undefined', 'string'].includes(typeof userClaim) &&
    Object.keys(others).length === 0
  )
}

function parseAccounts(given: unknown): string | OwnAccounts | undefined {
  if (typeof given === 'string') return /^[^\0]+$/.test(given) ? given : undefined
  return isOwnAccounts(given) ? given : undefined
}

/** An unknown method is rejected, because nobody would call it. An object of a class may have methods of its own. */
function isOwnAccounts(given: unknown): given is OwnAccounts {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return false
  const methods = given as Readonly<Record<string, unknown>>
  const isUnknown = (name: string): boolean => typeof methods[name] === 'function' && !ACCOUNT_METHODS.includes(name)
  if (Object.keys(given).some(isUnknown)) return false
  const found = ACCOUNT_METHODS.map((name) => methods[name]).filter((method) => method !== undefined)
  return found.length > 0 && found.every((method) => typeof method === 'function')
}

/** Returns whether anybody can log in. */
export function canAuthenticate({
  acceptAnyLogin,
  accounts,
  oauth,
  users,
  handlers,
}: Pick<ValuesOf<UserRows & PolicyRows>, 'acceptAnyLogin' | 'accounts' | 'handlers' | 'oauth' | 'users'>): boolean {
  if (acceptAnyLogin !== 'no' || oauth !== undefined) return true
  if (users.length > 0 || handlers.authenticate !== undefined || typeof accounts === 'string') return true
  return accounts !== undefined && LOGIN_METHODS.some((name) => accounts[name] !== undefined)
}

/** Checks that user names differ, and that there is a user if AUTH is required. @throws Failure */
export function checkUsers({ options, spelled }: Choice<UserRows & PolicyRows & WhereRows>): void {
  const names = options.users.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined)
    throw new Failure(`${spelled('users')}: ${JSON.stringify(twice)} is listed twice; remove one`)
  const { acceptAnyLogin, listen } = options
  const open = listen.find(
    ({ host, path, pipePath }) => pipePath !== undefined || (path === undefined && !isLoopback(host)),
  )
  if (acceptAnyLogin === 'loopback' && open !== undefined) {
    throw new Failure(
      `${spelled('acceptAnyLogin')} loopback: ${open.url} can be reached from other machines; give everywhere if you want that`,
    )
  }
  if (canAuthenticate(options)) return
  if (options.authRequired) throw needs(spelled('authRequired'), USERS)
  const needy = listen.find(
    ({ policy, submission }) => submission || policy.auth === 'required' || policy.auth === 'offered',
  )
  if (needy !== undefined) throw needs(`${spelled('listen')} ${needy.url}`, USERS)
}

function isLoopback(host: string | undefined): boolean {
  return host !== undefined && (host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host))
}
