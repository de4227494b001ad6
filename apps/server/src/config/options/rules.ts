/** Rules: what becomes of mail to an address or a domain. */
import { type RuleData, RuleError, Rules } from '@postern/intake/directory'
import { Failure } from '../../host/failure.ts'
import { isLmtpUrl } from '../urls/lmtp-url.ts'
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
  const foreign = domains && rules.foreignTo(domains)
  if (foreign === undefined) return
  throw new Failure(`${spelled('rules')}: ${foreign} is not among ${spelled('domains')}; add it there`)
}
