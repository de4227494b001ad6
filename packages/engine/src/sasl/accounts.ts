import type { Accounts } from './mechanism.ts'

const METHODS: readonly (keyof Accounts)[] = [
  'checkPassword',
  'sharedSecret',
  'scramKeys',
  'checkToken',
  'certificateUser',
]

/** Returns accounts that check passwords elsewhere. `accounts` may be an object of a class. */
export function withPasswords(accounts: Accounts, checkPassword: NonNullable<Accounts['checkPassword']>): Accounts {
  const methods = METHODS.flatMap((name) => {
    const method = accounts[name] as ((...given: unknown[]) => unknown) | undefined
    return method === undefined ? [] : [[name, method.bind(accounts)]]
  })
  return { ...(Object.fromEntries(methods) as Accounts), checkPassword }
}
