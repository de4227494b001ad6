/** Errors of Deno as the rest of the house knows them: with the `code` that Node gives. */

/** What Deno says of a name that leads nowhere; it has no class of its own. */
const NO_SUCH_HOST = /failed to lookup address information/

/** The same error, with a `code` where Deno gave none. */
export function withCode(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error))
  if (typeof (error as { code?: unknown }).code === 'string') return error
  if (NO_SUCH_HOST.test(error.message)) return Object.assign(error, { code: 'ENOTFOUND' })
  return error
}
