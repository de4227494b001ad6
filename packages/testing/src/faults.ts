/** Makes the server refuse, disconnect or be slow, so that a test sees what its program then does. */
import { OptionError, type Reply, reply } from '@postern/engine'
import type { Chance } from './chance.ts'
import { checkFields, checkOneOf, checkWhole, MAX_MS } from './check.ts'

/** The replies that a fault can change: the greeting, the replies to MAIL and RCPT, and the reply after the message. */
export const STAGES = ['connect', 'mail', 'rcpt', 'data'] as const
export type Stage = (typeof STAGES)[number]

/** The conditions of a fault. */
export interface Fault {
  readonly stage: Stage
  /** The share of replies that the fault hits, from 0 to 1. Default 1. `seed` of the inbox repeats the choice. */
  readonly rate?: number
  /** The fault stops after this number of hits. Default Infinity. With 1, the first attempt fails and the second succeeds. */
  readonly times?: number
  /** The fault hits only this address: the sender at 'mail', the recipient at 'rcpt'. Default: any. */
  readonly address?: string
}

/** A reply of 4xx or 5xx in place of success. */
export interface Refuse extends Fault {
  /** 400 to 599. */
  readonly code: number
  /** The enhanced code, such as '5.1.1'. Default: the first digit of `code`, and '.0.0'. */
  readonly enhancedCode?: string
  /** Default 'Refused by the test'. */
  readonly text?: string
}

export interface Faults {
  readonly refuse?: Refuse | readonly Refuse[]
  /** The server closes the connection in place of a reply. At 'data', it first reads the whole message, and does not keep it. */
  readonly disconnect?: Fault | readonly Fault[]
  /** The time that the server waits before each reply, or before the replies of some stages. Default 0. */
  readonly delayMs?: number | Readonly<Partial<Record<Stage, number>>>
}

export const FAULT_FIELDS: readonly string[] = ['refuse', 'disconnect', 'delayMs']

/** The effect of a fault on a reply. */
export type Outcome = Reply | 'disconnect' | undefined

interface Planned {
  readonly fault: Fault
  readonly outcome: Reply | 'disconnect'
  hits: number
}

/** The faults of an inbox. */
export class FaultPlan {
  readonly #planned: readonly Planned[]
  readonly #delays: Readonly<Partial<Record<Stage, number>>>
  readonly #chance: Chance

  /** @throws OptionError */
  constructor({ refuse = [], disconnect = [], delayMs = 0 }: Faults, chance: Chance) {
    this.#planned = [
      ...listOf(disconnect).map((fault) => plan(checkFault('disconnect', fault, FIELDS), 'disconnect')),
      ...listOf(refuse).map((fault) => plan(checkFault('refuse', fault, REFUSE_FIELDS), replyOf(fault))),
    ]
    this.#delays = delaysOf(delayMs)
    this.#chance = chance
  }

  delayMs(stage: Stage): number {
    return this.#delays[stage] ?? 0
  }

  /**
   * Returns the effect on the next reply of this stage.
   * @param address The sender or the recipient
   */
  next(stage: Stage, address: string): Outcome {
    for (const planned of this.#planned) {
      const { fault } = planned
      if (fault.stage !== stage || planned.hits >= (fault.times ?? Infinity)) continue
      if (fault.address !== undefined && fault.address.toLowerCase() !== address.toLowerCase()) continue
      if (this.#chance() >= (fault.rate ?? 1)) continue
      planned.hits++
      return planned.outcome
    }
    return undefined
  }
}

const FIELDS = ['stage', 'rate', 'times', 'address']
const REFUSE_FIELDS = [...FIELDS, 'code', 'enhancedCode', 'text']

function listOf<T>(given: T | readonly T[]): readonly T[] {
  return Array.isArray(given) ? given : [given as T]
}

function plan(fault: Fault, outcome: Planned['outcome']): Planned {
  return { fault, outcome, hits: 0 }
}

function checkFault(what: string, fault: Fault, fields: readonly string[]): Fault {
  checkFields(what, fault, fields)
  const { stage, rate = 1, times = Infinity, address } = fault
  checkOneOf(`${what}.stage`, stage, STAGES)
  if (typeof rate !== 'number' || !(rate >= 0 && rate <= 1))
    throw new OptionError(`${what}.rate`, rate, 'a number from 0 to 1')
  if (times !== Infinity) checkWhole(`${what}.times`, times, 0, Number.MAX_SAFE_INTEGER)
  if (address !== undefined && stage !== 'mail' && stage !== 'rcpt') {
    throw new OptionError(`${what}.address`, address, `for stage '${stage}': only 'mail' and 'rcpt' have an address`)
  }
  if (address !== undefined && typeof address !== 'string') {
    throw new OptionError(`${what}.address`, address, 'an address in a string')
  }
  return fault
}

function replyOf({ code, enhancedCode = '', text = 'Refused by the test' }: Refuse): Reply {
  checkWhole('refuse.code', code, 400, 599)
  if (typeof text !== 'string') throw new OptionError('refuse.text', text, 'a string')
  try {
    return reply(code, enhancedCode, text)
  } catch {
    throw new OptionError('refuse.enhancedCode', enhancedCode, `an enhanced code that fits ${code}`)
  }
}

function delaysOf(given: NonNullable<Faults['delayMs']>): Readonly<Partial<Record<Stage, number>>> {
  const delays = typeof given === 'object' ? given : Object.fromEntries(STAGES.map((stage) => [stage, given]))
  checkFields('delayMs', delays, STAGES)
  for (const [stage, ms] of Object.entries(delays)) {
    checkWhole(typeof given === 'object' ? `delayMs.${stage}` : 'delayMs', ms, 0, MAX_MS)
  }
  return delays
}
