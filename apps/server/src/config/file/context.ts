/** The argument of a config file that exports a function. With it, the file needs no import of a package. */
import { Refusal, reply } from '@postern/engine'
import { StorageError } from '@postern/storage'

/** The argument of a config file's function. */
export interface ConfigContext {
  /** Makes the answer of a hook: `reply(550, '5.7.1', 'Relaying denied')`. */
  readonly reply: typeof reply
  /** An error for a hook to throw: the client gets its reply, and the log gets its cause. */
  readonly Refusal: typeof Refusal
  /** The error that a store of your own throws. */
  readonly StorageError: typeof StorageError
  /** The environment variables. On Deno only those that the program may read. */
  readonly env: Readonly<Record<string, string | undefined>>
}

export function configContext(env: ConfigContext['env']): ConfigContext {
  return { reply, Refusal, StorageError, env }
}
