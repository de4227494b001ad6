/** A load case: the attack on the server, and the clients that are served meanwhile. */
import type { AttackOrder, ClientOrder } from './order.ts'

type Without<T, Keys extends PropertyKey> = T extends unknown ? Omit<T, Keys> : never

export interface AttackCase {
  readonly name: string
  readonly title: string
  /** More of the server's command line. */
  readonly flags?: readonly string[]
  /** Schemes, each with a port of its own. Default: smtp. */
  readonly doors?: readonly string[]
  /** Default: fs. */
  readonly layout?: 'fs' | 'maildir'
  /** Mailboxes that a `maildir` store has before. */
  readonly mailboxes?: readonly string[]
  /** The heap that Node and Deno get. Default: theirs. */
  readonly heapMiB?: number
  /** The server has all cores, because its threads do the work. Default: one. */
  readonly hasAllCores?: boolean
  /** The time of the case, relative to the others. Less than 1 if the attack ends sooner. Default 1. */
  readonly patience?: number
  /** The attack connects to the first port. */
  readonly attack: Without<AttackOrder, 'port' | 'seconds'>
  /** `door` is the index of the port. Default: the first. */
  readonly clients: readonly (Omit<ClientOrder, 'port'> & { readonly door?: number })[]
}

/** A user of each server that has users. */
export const USER = { username: 'ann', password: 'the right password' } as const
