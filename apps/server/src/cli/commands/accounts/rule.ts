/** `postern rule`: edits the rules in the accounts file. Servers that use it read it again by themselves. */
import { randomBytes } from 'node:crypto'
import { type DirectoryData, parseDomainName, type RuleAction, type RuleData, Rules } from '@postern/intake/directory'
import { checkedAccounts, joinedRules } from '../../../config/file/accounts-file.ts'
import type { Settings } from '../../../config/settings.ts'
import { EXIT, Failure } from '../../../host/failure.ts'
import { complain, print, printJson } from '../../../host/output.ts'
import { safe, table } from '../../../host/terminal.ts'
import { domainName, edit, type ListAction, pathOf, readOrEmpty } from '../../reading/accounts.ts'
import {
  actionsOf,
  actionText,
  checkedTarget,
  isSameTarget,
  parseAction,
  rulesByTarget,
  targetsOf,
} from '../../reading/rules.ts'

const SECRET_BYTES = 32

/** Runs `postern rule`. @throws Failure */
export async function rule(
  settings: Settings,
  action: ListAction,
  target: string | undefined,
  words: readonly string[],
  { json }: { readonly json?: boolean },
): Promise<void> {
  const path = pathOf(settings)
  if (action === 'list') return listRules(settings, path, json)
  const command = `rule ${action}`
  const name = checkedTarget(command, target)
  if (action === 'add' && words.length === 0) {
    throw new Failure(`${command}: give what becomes of its mail, such as forward=jane@example.org`)
  }
  const made = new Map<string, string>()
  let newDomain: string | undefined
  await edit(path, (data) => {
    const rules = data.rules ?? []
    if (action === 'remove') return { ...data, rules: withoutActions(rules, name, words) }
    const given = words.map((word) => parseAction(command, word, (url) => secretOf(url, rules, settings, made)))
    newDomain = missingDomain(data, name)
    const domains = [...(data.domains ?? []), ...(newDomain === undefined ? [] : [newDomain])]
    const changed = { ...data, domains, rules: withActions(rules, name, given) }
    checkFit(settings, path, changed)
    return changed
  })
  if (newDomain !== undefined) complain(`added the domain ${safe(newDomain)}`)
  if (action === 'add') remark(settings, path, name)
  await print(`${action === 'add' ? 'added' : 'removed'} ${safe(name)}\n`)
  for (const [url, secret] of made) await print(`the secret of ${safe(url)} is ${secret}\n`)
}

/** Returns the domain of an address, if the server does not receive it yet. A domain may be a mistyped address, so it has to be there. */
function missingDomain({ domains = [] }: DirectoryData, target: string): string | undefined {
  if (!target.includes('@')) return undefined
  const own = domains.map((each) => parseDomainName(domainName(each)) ?? '')
  return new Rules([{ for: target, do: 'keep' }]).foreignTo(own)
}

/** Returns the secret of a webhook that another rule has too, or makes one. */
function secretOf(url: string, rules: readonly RuleData[], { options }: Settings, made: Map<string, string>): string {
  const known = [...rules, ...options.rules.data]
    .flatMap(actionsOf)
    .find((action) => typeof action === 'object' && 'webhook' in action && action.webhook === url)
  if (typeof known === 'object' && 'secret' in known) return known.secret
  const secret = made.get(url) ?? `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`
  made.set(url, secret)
  return secret
}

/** Adds actions to the rule of an address or domain. The rule is then its own, if it was one for several. */
function withActions(rules: readonly RuleData[], target: string, given: readonly RuleAction[]): readonly RuleData[] {
  const { others, actions } = taken(rules, target)
  const known = new Set(actions.map(actionText))
  const added = given.filter((action) => !known.has(actionText(action)))
  return [...others, { for: target, do: shortened([...actions, ...added]) }]
}

/** Removes actions, or the whole rule if there are no words. @throws Failure if there is no such rule */
function withoutActions(rules: readonly RuleData[], target: string, words: readonly string[]): readonly RuleData[] {
  const { others, actions } = taken(rules, target)
  if (actions.length === 0) throw new Failure(`rule remove: there is no rule for ${safe(target)}`, EXIT.failed)
  const missing = words.find((word) => !actions.some((action) => actionText(action) === word))
  if (missing !== undefined) {
    throw new Failure(`rule remove: the rule for ${safe(target)} does not have ${safe(missing)}`, EXIT.failed)
  }
  const left = words.length === 0 ? [] : actions.filter((action) => !words.includes(actionText(action)))
  return left.length === 0 ? others : [...others, { for: target, do: shortened(left) }]
}

/** Takes the rule of an address or domain out of the list. */
function taken(
  rules: readonly RuleData[],
  target: string,
): { readonly others: readonly RuleData[]; readonly actions: readonly RuleAction[] } {
  let actions: readonly RuleAction[] = []
  const others = rules.flatMap((rule) => {
    const targets = targetsOf(rule)
    const left = targets.filter((other) => !isSameTarget(other, target))
    if (left.length === targets.length) return [rule]
    actions = actionsOf(rule)
    return left.length === 0 ? [] : [{ ...rule, for: left }]
  })
  return { others, actions }
}

function shortened(actions: readonly RuleAction[]): RuleData['do'] {
  const [first, ...more] = actions
  return first !== undefined && more.length === 0 ? first : actions
}

/** Checks the new rules as the server does. @throws Failure */
function checkFit({ options }: Settings, path: string, data: DirectoryData): void {
  joinedRules(options.rules, checkedAccounts(data, path).rules, path)
}

/** Says on stderr why the rule may not do what the user expects. */
function remark({ options }: Settings, path: string, target: string): void {
  if (rulesByTarget(options.rules.data)(target) !== undefined) {
    complain(`the config has a rule for ${safe(target)} too, and that one decides`)
  }
  if (options.relay === 'off' && checkedAccounts(readOrEmpty(path), path).rules.sendOn) {
    complain('the accounts have a rule that sends mail on, so each server that reads them needs --relay')
  }
}

async function listRules({ options }: Settings, path: string, json: boolean | undefined): Promise<void> {
  const from = (rules: readonly RuleData[], place: string): { for: string; do: readonly string[]; in: string }[] =>
    rules.flatMap((rule) =>
      targetsOf(rule).map((target) => ({ for: target, do: actionsOf(rule).map(actionText), in: place })),
    )
  const rows = [...from(options.rules.data, 'config'), ...from(readOrEmpty(path).rules ?? [], 'accounts')]
  if (json === true) return printJson(rows)
  await print(
    table(rows.map((row) => [row.for, row.do.join(', '), row.in === 'config' ? 'in the config' : ''].map(safe))),
  )
}
