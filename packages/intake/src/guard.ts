/**
 * Guards: sets of the engine's hooks, each with a name. They are asked in order, and the first refusal counts. If a
 * guard answers at once, no promise is made.
 */
import { type Handlers, isPromiseLike, isReply, type Verdict } from '@postern/engine'

/** Hooks of the engine that serve one purpose. */
export interface Guard extends Omit<Handlers, 'data' | 'error'> {
  /** For messages and logs: `domains`. */
  readonly name: string
}

type Ask = (...given: readonly never[]) => Verdict | Promise<Verdict>

/** Hooks whose refusal counts. */
const ASKED = ['connect', 'secure', 'hello', 'mail', 'rcpt', 'verify', 'expand'] as const
/** Hooks whose answer nobody uses: every guard is called. */
const TOLD = ['reset', 'close', 'refused'] as const

/** The hooks that a guard may have. */
export const GUARD_HOOKS: readonly (keyof Omit<Guard, 'name'>)[] = [...ASKED, ...TOLD]

const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/i
/** Hooks that exist and that no guard may have, because nobody would call them. */
const OTHER_HOOKS = ['data', 'authenticate', 'error']

export const GUARD_ALLOWED: string = `an object with a name of up to 32 letters, digits and hyphens, and with functions called ${GUARD_HOOKS.join(', ')}`

/** Returns whether this is a guard. A misspelt hook is rejected, because nobody would call it. */
export function isGuard(value: unknown): value is Guard {
  if (typeof value !== 'object' || value === null) return false
  const guard = value as Readonly<Record<string, unknown>>
  const { name } = guard
  if (typeof name !== 'string' || !NAME.test(name)) return false
  const names: readonly string[] = GUARD_HOOKS
  const isUnknown = (key: string): boolean => typeof guard[key] === 'function' && !names.includes(key)
  if ([...Object.keys(guard), ...OTHER_HOOKS].some(isUnknown)) return false
  const hooks = names.map((key) => guard[key]).filter((hook) => hook !== undefined)
  return hooks.length > 0 && hooks.every((hook) => typeof hook === 'function')
}

/** Makes the hooks that ask all of these guards. If no guard has a hook, the result has none either, so that it costs nothing. */
export function askGuards(guards: readonly Guard[]): Handlers {
  const hooks: Record<string, Ask> = {}
  for (const name of GUARD_HOOKS) {
    const asks = guards.flatMap((guard) => (guard[name] === undefined ? [] : [guard[name].bind(guard) as Ask]))
    const [only] = asks
    if (only === undefined) continue
    if (asks.length === 1) hooks[name] = only
    else if (isAsked(name)) hooks[name] = (...given) => askInOrder(asks, given)
    else hooks[name] = (...given) => tellInOrder(asks, given)
  }
  return hooks
}

function isAsked(name: string): boolean {
  return (ASKED as readonly string[]).includes(name)
}

/** Returns the first refusal, or else the first answer of any kind. */
function askInOrder(asks: readonly Ask[], given: readonly never[]): Verdict | Promise<Verdict> {
  let verdict: Verdict
  for (const [at, ask] of asks.entries()) {
    const answer = ask(...given)
    if (isPromiseLike(answer)) return askOthers(answer, verdict, asks.slice(at + 1), given)
    if (isRefusal(answer)) return answer
    verdict ??= answer
  }
  return verdict
}

/** Does the same when a guard has answered with a promise. */
async function askOthers(
  late: PromiseLike<Verdict>,
  before: Verdict,
  others: readonly Ask[],
  given: readonly never[],
): Promise<Verdict> {
  const answer = await late
  if (isRefusal(answer)) return answer
  const verdict = before ?? answer
  const after = await askInOrder(others, given)
  return isRefusal(after) ? after : (verdict ?? after)
}

/** Calls all of them, even if one fails. Then fails with the first error. */
function tellInOrder(tells: readonly Ask[], given: readonly never[]): Promise<undefined> | undefined {
  const late: PromiseLike<Verdict>[] = []
  for (const tell of tells) {
    try {
      const told = tell(...given)
      if (isPromiseLike(told)) late.push(told)
    } catch (error) {
      late.push(Promise.reject(error as Error))
    }
  }
  return late.length === 0 ? undefined : Promise.all(late).then(() => undefined)
}

function isRefusal(answer: Verdict): boolean {
  return isReply(answer) && answer.code >= 400
}
