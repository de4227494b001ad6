/** The hooks that a config file may hold, by name. */
import type { AuthOptions, Handlers } from '@postern/engine'

/**
 * The engine's hooks, and `authenticate`.
 *
 * If a hook refuses, the client is refused. After any other answer the server continues with its own checks. If `data` reads the
 * message, it must answer, and the store does not keep the message. If `data` neither reads nor answers, the store keeps it. If
 * `authenticate` answers undefined, the server checks `users`.
 */
export interface ConfigHandlers extends Handlers {
  authenticate?: AuthOptions['authenticate']
}

// A record, so that the compiler reports a missing hook.
const NAMES: Readonly<Record<keyof ConfigHandlers, true>> = {
  connect: true,
  secure: true,
  hello: true,
  authenticate: true,
  mail: true,
  rcpt: true,
  data: true,
  verify: true,
  expand: true,
  reset: true,
  close: true,
  refused: true,
  error: true,
}

/** The names of all hooks. */
export const HOOK_NAMES: readonly string[] = Object.keys(NAMES)

/** Returns whether these are hooks. A misspelt name is rejected, because nobody would call it. */
export function isHooks(value: unknown): value is ConfigHandlers {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).every(
    ([name, hook]) => HOOK_NAMES.includes(name) && (hook === undefined || typeof hook === 'function'),
  )
}
