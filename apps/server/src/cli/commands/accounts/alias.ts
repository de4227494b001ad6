/** `postern alias`: edits the aliases in the accounts file. Servers that use it read it again by themselves. */
import type { AliasData } from '@postern/intake/directory'
import type { Settings } from '../../../config/settings.ts'
import { EXIT, Failure } from '../../../host/failure.ts'
import { print, printJson } from '../../../host/output.ts'
import { safe, table } from '../../../host/terminal.ts'
import {
  checkedAddress,
  edit,
  isSameAddress,
  type ListAction,
  pathOf,
  readOrEmpty,
  sayDomainOf,
  withDomainOf,
} from '../../reading/accounts.ts'
import { rulesByTarget } from '../../reading/rules.ts'

/** Runs `postern alias`. @throws Failure */
export async function alias(
  settings: Settings,
  action: ListAction,
  address: string | undefined,
  to: readonly string[],
  { json }: { readonly json?: boolean },
): Promise<void> {
  const path = pathOf(settings)
  if (action === 'list') return listAliases(path, json)
  const command = `alias ${action}`
  const name = checkedAddress(command, address)
  const targets = to.map((target) => checkedAddress(command, target))
  if (action === 'add' && targets.length === 0) throw new Failure(`${command}: give the accounts that get its mail`)
  let isDomainNew = false
  await edit(path, (data) => {
    const aliases = data.aliases ?? []
    const at = aliases.findIndex((other) => isSameAddress(other.address, name))
    if (action === 'add') {
      const withDomain = withDomainOf(data, name)
      isDomainNew = withDomain !== data
      return { ...withDomain, aliases: withTargets(aliases, at, name, targets) }
    }
    const found = aliases[at]
    if (found === undefined) throw new Failure(`${command}: there is no alias ${name}`, EXIT.failed)
    const left = targetsOf(found).filter((target) => !targets.some((other) => isSameAddress(target, other)))
    const isWhole = targets.length === 0 || left.length === 0
    return { ...data, aliases: isWhole ? aliases.toSpliced(at, 1) : aliases.with(at, { ...found, to: left }) }
  })
  if (isDomainNew) sayDomainOf(name)
  await print(`${action === 'add' ? 'added' : 'removed'} ${safe(name)}\n`)
}

function withTargets(
  aliases: readonly AliasData[],
  at: number,
  address: string,
  targets: readonly string[],
): readonly AliasData[] {
  const found = aliases[at]
  if (found === undefined) return [...aliases, { address, to: targets }]
  const known = targetsOf(found)
  const added = targets.filter((target) => !known.some((other) => isSameAddress(other, target)))
  return aliases.with(at, { ...found, to: [...known, ...added] })
}

async function listAliases(path: string, json: boolean | undefined): Promise<void> {
  const { aliases = [], rules = [] } = readOrEmpty(path)
  const ruleOf = rulesByTarget(rules)
  const rows = aliases.map((one) => ({ address: one.address, to: targetsOf(one), rule: ruleOf(one.address) }))
  if (json === true) return printJson(rows)
  await print(table(rows.map(({ address, to, rule = [] }) => [address, to.join(', '), safe(rule.join(', '))])))
}

function targetsOf({ to }: AliasData): readonly string[] {
  return typeof to === 'string' ? [to] : to
}
