/** Rules as words of the command line: `keep`, `forward=jane@example.org`. */
import { parseAddress, parseDomainName, type RuleAction, type RuleData } from '@postern/intake/directory'
import { Failure } from '../../host/failure.ts'

const PLAIN = ['keep', 'drop', 'refuse'] as const
const ALLOWED =
  "keep, drop, refuse, refuse='550 5.7.1 No mail here', forward=jane@example.org, lmtp=lmtp://host or webhook=https://host/path"

/** Reads an action. @param secretOf Returns the secret of a webhook. @throws Failure that says what is allowed */
export function parseAction(command: string, text: string, secretOf: (url: string) => string): RuleAction {
  const plain = PLAIN.find((word) => word === text)
  if (plain !== undefined) return plain
  const at = text.indexOf('=')
  const value = text.slice(at + 1)
  if (at > 0 && value !== '') {
    switch (text.slice(0, at)) {
      case 'refuse':
        return { refuse: value }
      case 'forward':
        return { forward: value }
      case 'lmtp':
        return { lmtp: value }
      case 'webhook':
        return { webhook: value, secret: secretOf(value) }
    }
  }
  throw new Failure(`${command}: ${JSON.stringify(text.slice(0, 100))} is not ${ALLOWED}`)
}

/** Writes an action as {@link parseAction} reads it, without the secret of a webhook. */
export function actionText(action: RuleAction): string {
  if (typeof action === 'string') return action
  if ('refuse' in action) return `refuse=${action.refuse}`
  if ('forward' in action) return `forward=${String(action.forward)}`
  return 'lmtp' in action ? `lmtp=${action.lmtp}` : `webhook=${action.webhook}`
}

/** Returns the actions of a rule, each with one target. */
export function actionsOf({ do: actions }: RuleData): readonly RuleAction[] {
  return [actions]
    .flat()
    .flatMap((action): RuleAction | readonly RuleAction[] =>
      typeof action === 'object' && 'forward' in action
        ? [action.forward].flat().map((forward) => ({ forward }))
        : action,
    )
}

export function targetsOf({ for: targets }: RuleData): readonly string[] {
  return typeof targets === 'string' ? [targets] : targets
}

/** Returns whether two texts are the same address or the same domain. */
export function isSameTarget(one: string, other: string): boolean {
  return keyOf(one) === keyOf(other)
}

function keyOf(target: string): string {
  if (!target.includes('@')) return parseDomainName(target) ?? target
  const { localPart, domain } = parseAddress(target) ?? { localPart: target, domain: '' }
  return `${localPart.normalize('NFC').toLowerCase()}@${domain}`
}

/** Returns what finds the rule of an address or domain: its actions as words; undefined if there is none. */
export function rulesByTarget(rules: readonly RuleData[]): (target: string) => readonly string[] | undefined {
  const found = new Map(rules.flatMap((rule) => targetsOf(rule).map((target) => [keyOf(target), rule] as const)))
  return (target) => {
    const rule = found.get(keyOf(target))
    return rule && actionsOf(rule).map(actionText)
  }
}

/** @throws Failure if it is neither an address nor a domain */
export function checkedTarget(command: string, target: string | undefined): string {
  const isOne =
    target !== undefined && (target.includes('@') ? parseAddress(target) : parseDomainName(target)) !== undefined
  if (isOne) return target
  const shown = target === undefined ? 'nothing' : JSON.stringify(target)
  throw new Failure(`${command}: ${shown} is not an address such as jane@example.com, or a domain such as example.com`)
}
