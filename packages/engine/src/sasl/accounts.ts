import type { Accounts } from './mechanism.ts'

/** Accounts whose methods get one more argument: what the server knows of the client. */
export type AccountsWith<Context> = {
  [Name in keyof Accounts]: (
    ...given: [...Parameters<NonNullable<Accounts[Name]>>, context: Context]
  ) => ReturnType<NonNullable<Accounts[Name]>>
}

const METHODS: readonly (keyof Accounts)[] = [
  'checkPassword',
  'sharedSecret',
  'scramKeys',
  'checkToken',
  'certificateUser',
]

/** Returns accounts that pass `context` on to each method. `accounts` may be an object of a class. */
export function inContext<Context>(accounts: AccountsWith<Context>, context: Context): Accounts {
  const methods = METHODS.flatMap((name) => {
    const method = accounts[name] as ((...given: unknown[]) => unknown) | undefined
    return method === undefined ? [] : [[name, (...given: unknown[]) => method.call(accounts, ...given, context)]]
  })
  return Object.fromEntries(methods) as Accounts
}
