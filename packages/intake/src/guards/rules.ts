/** Does at RCPT what the rules say. */
import { type ForwardPath, type RecipientHandling, type Reply, reply, type Session } from '@postern/engine'
import type { RecipientAddress } from '../directory/address.ts'
import type { Rules } from '../directory/rules.ts'
import type { Guard } from '../guard.ts'

export interface RulesGuardOptions {
  /** Returns whom a bounce to this address goes to, a refusal, or undefined if it is an ordinary address. Default: all are. */
  returned?(address: RecipientAddress): string | Reply | undefined
}

/** Where one message may be sent on to: addresses, servers and webhooks of all its recipients together. */
const MAX_TARGETS = 1_000
/** The recipients of one rule and one domain are one message in the queue. Each has its bytes on the disk. */
const MAX_COPIES = 100
const MANY = reply(452, '4.5.3', 'Too many recipients whose mail is sent on; send the message to the others later')

/**
 * Makes the guard. It comes after the guards that know which addresses are ours.
 * @param rules Called for each recipient, so that they may change while the server runs
 */
export function rulesGuard(rules: () => Rules, { returned = () => undefined }: RulesGuardOptions = {}): Guard {
  return {
    name: 'rules',
    rcpt(forwardPath, session) {
      const { domain, handling, isElsewhere } = forwardPath
      // A hook of the user's may have decided.
      if (isElsewhere === true || handling !== undefined || domain === '') return undefined
      const back = returned(forwardPath)
      if (typeof back === 'object') return back
      const rule = back === undefined ? rules().find(forwardPath) : { handling: { keeps: false, forwardsTo: [back] } }
      if (rule === undefined) return undefined
      if (rule.refuses !== undefined) return rule.refuses
      if (isTooMuch(rule.handling, forwardPath, session)) return MANY
      forwardPath.handling = rule.handling
      return undefined
    },
  }
}

/** Returns whether the message would be sent on to more than one message may be. One recipient never is too much. */
function isTooMuch(handling: RecipientHandling, { domain }: ForwardPath, { envelope }: Session): boolean {
  let targets = targetsOf(handling)
  if (targets === 0) return false
  const copies = new Map<RecipientHandling, Set<string>>([[handling, new Set([domain.toLowerCase()])]])
  let copyCount = 1
  for (const before of envelope?.forwardPaths ?? []) {
    if (before.handling === undefined || targetsOf(before.handling) === 0) continue
    targets += targetsOf(before.handling)
    const domains = copies.get(before.handling) ?? new Set()
    copies.set(before.handling, domains)
    if (!domains.has(before.domain.toLowerCase())) copyCount++
    domains.add(before.domain.toLowerCase())
  }
  return targets > MAX_TARGETS || copyCount > MAX_COPIES
}

function targetsOf({ forwardsTo, deliversTo = [] }: RecipientHandling): number {
  return forwardsTo.length + deliversTo.length
}
