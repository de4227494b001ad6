/** Errors of Deno, with the `code` that Node gives them. */

/** Deno's message for a name that has no address. The error has no class of its own. */
const NO_SUCH_HOST = /failed to lookup address information/

/** Adds a `code` to an error of Deno that has none. */
export function withCode<T>(error: T): T {
  if (!(error instanceof Error) || 'code' in error || !NO_SUCH_HOST.test(error.message)) return error
  return Object.assign(error, { code: 'ENOTFOUND' })
}
