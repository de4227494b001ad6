/** Rules: what becomes of mail to an address or a domain. */
import { ANY_DOMAIN, type RuleData, RuleError, Rules } from '@postern/intake/guards'
import { parseServerUrl } from '@postern/engine/client'
import { Failure } from '../../host/failure.ts'
import { Mistaken, type Schema } from '../values/schema.ts'
import type { PolicyRows } from './policy.ts'
import type { Choice, Option } from './row.ts'

export interface RuleRows {
  /**
   * Rules say what becomes of mail to addresses and domains: `{ for: 'sales@example.com', do: ['keep', { forward: 'jane@example.org' }] }`. The actions
   * are `'keep'`, `'drop'`, `'refuse'`, `{ refuse: '550 5.7.1 No mail here' }` `{ forward: addresses }`, `{ lmtp: url }` and `{ webhook: url, secret }`.
   */
  readonly rules: Option<readonly RuleData[], Rules>
}

/** It is the name of a destination in the queue. */
const PLAIN = /^[!-~]{1,250}$/

export const ruleRows: RuleRows = {
  rules: {
    schema: rulesSchema(),
    byDefault: [],
    help: 'what becomes of mail to an address or a domain',
    group: 'Policy:',
    value: 'rules',
    secret: true,
    fileOnly: true,
  },
}

function rulesSchema(): Schema<Rules> {
  return (given) => {
    try {
      return new Rules(given, { isLmtpUrl })
    } catch (error) {
      throw error instanceof RuleError ? new Mistaken(error.message, error.path) : error
    }
  }
}

/** Checks that rules are about our own domains. @throws Failure */
export function checkRules({ options, spelled }: Choice<RuleRows & PolicyRows>): void {
  const { domains, rules } = options
  if (domains === undefined) return
  const foreign = rules.domains.find((domain) => !isCovered(domain, domains))
  if (foreign === undefined) return
  throw new Failure(`${spelled('rules')}: ${foreign} is not among ${spelled('domains')}; add it there`)
}

/** @param domain Of a rule, with `*.` for all below it */
function isCovered(domain: string, domains: readonly string[]): boolean {
  if (domains.includes(ANY_DOMAIN) || domains.includes(domain)) return true
  const name = domain.startsWith('*.') ? domain.slice(2) : domain
  return domains.some((each) => each.startsWith('*.') && name.endsWith(each.slice(1)))
}

function isLmtpUrl(url: string): boolean {
  try {
    const { credentials, protocol } = parseServerUrl(url)
    return protocol === 'lmtp' && credentials === undefined && PLAIN.test(url)
  } catch {
    return false
  }
}
