/**
 * Permissions of this process. Only Deno restricts a program. If the program tries more than is allowed, Deno asks the
 * user at the terminal. So Postern checks here before it uses an optional permission.
 */
import process from 'node:process'
import { EXIT, Failure } from './failure.ts'

type Permission =
  | { readonly name: 'env'; readonly variable?: string }
  | { readonly name: 'net'; readonly host: string }
  | { readonly name: 'read'; readonly path?: string }
  | { readonly name: 'sys'; readonly kind: 'hostname' | 'setPriority' }

interface Permissions {
  querySync(permission: Permission): { readonly state: string }
}

const { Deno } = globalThis as { readonly Deno?: { readonly permissions: Permissions } }

export function isAllowed(permission: Permission): boolean {
  return Deno === undefined || Deno.permissions.querySync(permission).state === 'granted'
}

/** Returns an environment variable, or undefined if this process may not read it. */
export function variable(name: string): string | undefined {
  return isAllowed({ name: 'env', variable: name }) ? process.env[name] : undefined
}

/** Returns the whole environment, or else those of the named variables that this process may read. */
export function environment(names: readonly string[]): Readonly<Record<string, string | undefined>> {
  if (isAllowed({ name: 'env' })) return process.env
  return Object.fromEntries(names.map((name) => [name, variable(name)]))
}

/** Makes the Failure for an operation that Deno did not allow. Returns undefined for any other error. */
export function forbidden(error: unknown): Failure | undefined {
  if (!(error instanceof Error) || error.name !== 'NotCapable') return undefined
  return new Failure(`Deno does not allow it: ${error.message}`, EXIT.misused, { cause: error })
}
