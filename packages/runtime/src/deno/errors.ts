/** Errors of Deno as the rest of the house knows them: with the `code` that Node gives. */

/** What Deno says of a name that leads nowhere; it has no class of its own. */
const NO_SUCH_HOST = /failed to lookup address information/

/** The same, with a `code` where it is an error that Deno gave none. */
export function withCode<T>(error: T): T {
  if (!(error instanceof Error) || 'code' in error || !NO_SUCH_HOST.test(error.message)) return error
  return Object.assign(error, { code: 'ENOTFOUND' })
}
