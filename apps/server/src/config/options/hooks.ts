/** The hooks that a config file may hold, by name. */
import type { AuthOptions, Handlers } from '@postern/engine'

/**
 * The engine's hooks, and `authenticate`.
 *
 * A hook that refuses has the last word; after any other answer the server goes on. `data` may read the message: it then
 * must answer for it, and the message is not kept. Where it answers nothing and read nothing, the store keeps the message.
 * `authenticate` that answers nothing leaves the question to `users`.
 */
export interface ConfigHandlers extends Handlers {
  authenticate?: AuthOptions['authenticate']
}

// The type makes it a mistake to leave one out.
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

/** Every hook there is. */
export const HOOK_NAMES: readonly string[] = Object.keys(NAMES)

/** Whether these are hooks, and none is misspelt: it would never be called. */
export function isHooks(value: unknown): value is ConfigHandlers {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).every(
    ([name, hook]) => HOOK_NAMES.includes(name) && (hook === undefined || typeof hook === 'function'),
  )
}
