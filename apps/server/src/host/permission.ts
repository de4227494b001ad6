/**
 * What this process may do. Deno alone keeps a program to what it was allowed, and a program that tries more makes it ask the
 * person at the terminal: what can be done without is looked up here first.
 */
import process from 'node:process'
import { EXIT, Failure } from './failure.ts'

type Permission =
  | { readonly name: 'env'; readonly variable?: string }
  | { readonly name: 'read'; readonly path?: string }
  | { readonly name: 'sys'; readonly kind: 'hostname' | 'setPriority' }

interface Permissions {
  querySync(permission: Permission): { readonly state: string }
}

const { Deno } = globalThis as { readonly Deno?: { readonly permissions: Permissions } }

export function isAllowed(permission: Permission): boolean {
  return Deno === undefined || Deno.permissions.querySync(permission).state === 'granted'
}

/** One variable of the environment; undefined where it may not be read. */
export function variable(name: string): string | undefined {
  return isAllowed({ name: 'env', variable: name }) ? process.env[name] : undefined
}

/** The environment, or of these variables those that may be read. */
export function environment(names: readonly string[]): Readonly<Record<string, string | undefined>> {
  if (isAllowed({ name: 'env' })) return process.env
  return Object.fromEntries(names.map((name) => [name, variable(name)]))
}

/** What is to be said where Deno did not allow something; undefined where the error is another one. */
export function forbidden(error: unknown): Failure | undefined {
  if (!(error instanceof Error) || error.name !== 'NotCapable') return undefined
  return new Failure(`Deno does not allow it: ${error.message}`, EXIT.misused, { cause: error })
}
