/** `postern domain`: edits the domains in the accounts file. Servers that use it read it again by themselves. */
import { type DomainData, parseDomainName } from '@postern/intake/directory'
import type { Settings } from '../../../config/settings.ts'
import { EXIT, Failure } from '../../../host/failure.ts'
import { print, printJson } from '../../../host/output.ts'
import { safe, table } from '../../../host/terminal.ts'
import { checkedAddress, domainName, edit, type ListAction, pathOf, readOrEmpty } from '../../reading/accounts.ts'
import { rulesByTarget } from '../../reading/rules.ts'

/** The flags of `postern domain`. */
export interface DomainFlags {
  readonly catchAll?: string
  readonly json?: boolean
}

/** Runs `postern domain`. @throws Failure */
export async function domain(
  settings: Settings,
  action: ListAction,
  name: string | undefined,
  { catchAll, json }: DomainFlags,
): Promise<void> {
  const path = pathOf(settings)
  if (action === 'list') return listDomains(path, json)
  const command = `domain ${action}`
  const ascii = parseDomainName(name ?? '')
  if (name === undefined || ascii === undefined) {
    const shown = name === undefined ? 'nothing' : JSON.stringify(name)
    throw new Failure(`${command}: ${shown} is not a domain such as example.com, or *.example.com for all below it`)
  }
  const receiver = catchAll === undefined ? undefined : checkedAddress('--catch-all', catchAll)
  await edit(path, (data) => {
    const domains = data.domains ?? []
    const at = domains.findIndex((other) => parseDomainName(domainName(other)) === ascii)
    const entry = receiver === undefined ? name : { name, catchAll: receiver }
    if (action === 'add') return { ...data, domains: at === -1 ? [...domains, entry] : domains.with(at, entry) }
    if (at === -1) throw new Failure(`${command}: there is no domain ${name}`, EXIT.failed)
    return { ...data, domains: domains.toSpliced(at, 1) }
  })
  await print(`${action === 'add' ? 'added' : 'removed'} ${safe(name)}\n`)
}

async function listDomains(path: string, json: boolean | undefined): Promise<void> {
  const { domains = [], rules = [] } = readOrEmpty(path)
  const ruleOf = rulesByTarget(rules)
  const rows = domains.map((one): DomainData & { readonly rule: readonly string[] | undefined } => ({
    ...(typeof one === 'string' ? { name: one } : one),
    rule: ruleOf(domainName(one)),
  }))
  if (json === true) return printJson(rows)
  await print(
    table(
      rows.map(({ name, catchAll, rule = [] }) => [
        name,
        catchAll === undefined ? '' : `everything else to ${catchAll}`,
        safe(rule.join(', ')),
      ]),
    ),
  )
}
