/** The hooks that a config file may hold, by name. */
import type { AuthOptions } from '@postern/engine'
import type { IntakeHandlers } from '@postern/intake'
import { HANDLER_NAMES } from '@postern/intake/settings'
import { NotAllowed, type Schema, UnknownKey } from '../values/schema.ts'

/**
 * The engine's hooks, `kept` and `authenticate`.
 *
 * If a hook refuses, the client is refused. After any other answer the server continues with its own checks. If `data` reads the
 * message, it must answer, and the store does not keep the message. If `data` neither reads nor answers, the store keeps it. If
 * `authenticate` answers undefined, the server checks `users`.
 */
export interface ConfigHandlers extends IntakeHandlers {
  authenticate?: AuthOptions['authenticate']
}

// A record, so that the compiler reports a missing hook.
const AFTER_HELLO: Readonly<Record<Exclude<keyof ConfigHandlers, keyof IntakeHandlers>, true>> = { authenticate: true }

/** The names of all hooks, in the order of a session. */
export const HOOK_NAMES: readonly string[] = HANDLER_NAMES.flatMap((name) =>
  name === 'hello' ? [name, ...Object.keys(AFTER_HELLO)] : [name],
)

/** Hooks by their names. A misspelt name is rejected, because nobody would call it. */
export function hooks(): Schema<ConfigHandlers> {
  return (given) => {
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      throw new NotAllowed(given, `an object of functions called ${HOOK_NAMES.join(', ')}`)
    }
    for (const [name, hook] of Object.entries(given)) {
      if (!HOOK_NAMES.includes(name)) throw new UnknownKey(name, 'hook', HOOK_NAMES)
      if (hook !== undefined && typeof hook !== 'function') throw new NotAllowed(hook, 'a function', `.${name}`)
    }
    return given
  }
}
