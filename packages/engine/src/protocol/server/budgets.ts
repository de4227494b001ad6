/**
 * What a session may use up before the server ends it: bad commands, commands that make no progress, and AUTHs. Also the memory for
 * its envelope.
 */
import { asciiDomain } from '../grammar/domain.ts'
import * as replies from '../grammar/replies.ts'
import type { Reply } from '../grammar/reply.ts'
import type { Limits } from '../limits.ts'
import type { Allowance } from './allowance.ts'

/** Bytes for the objects of a path, besides its octets. */
const PATH_OVERHEAD_OCTETS = 512
/**
 * Octets that each envelope has for itself. So ordinary mail is still accepted when other sessions have used up what all
 * sessions share.
 */
const OWN_OCTETS = 4_096

export class Budgets {
  readonly #limits: Limits
  readonly #envelopes: Allowance
  #badCommands = 0
  #idleCommands = 0
  /** Refused recipients since the last accepted message. */
  #refusedRecipients = 0
  #transactions = 0
  #failedAuths = 0
  #commandsBeforeAuth = 0
  /** Domains of the accepted recipients. Not kept if nothing limits their number. */
  #domains: Set<string> | undefined
  /** Octets of the paths and parameters in the envelope. */
  #envelopeOctets = 0
  /** The same plus the cost of the objects. */
  #heldOctets = 0
  /** What the envelope has taken of the server's allowance. */
  #allowedOctets = 0

  /** @param envelopes Bounds the envelopes of all sessions */
  constructor(limits: Limits, envelopes: Allowance) {
    this.#limits = limits
    this.#envelopes = envelopes
  }

  // Each counts, and returns the given refusal. After too many it returns the reply that ends the session.

  ofBadCommand(refusal: Reply): Reply {
    return ++this.#badCommands >= this.#limits.maxBadCommands ? replies.TOO_MANY_ERRORS : refusal
  }

  /** Counts a refused command that makes no progress. */
  ofIdle(refusal: Reply): Reply {
    return this.countIdle() ?? refusal
  }

  /** Counts a refused recipient. The first `maxRecipients` refused recipients cost nothing more. */
  ofRecipient(refusal: Reply): Reply {
    return ++this.#refusedRecipients > this.#limits.maxRecipients ? this.ofIdle(refusal) : refusal
  }

  ofFailedAuth(refusal: Reply): Reply {
    return ++this.#failedAuths >= this.#limits.maxFailedAuths ? replies.TOO_MANY_FAILED_AUTHS : refusal
  }

  // Each counts. It returns the reply that ends the session after too many; otherwise undefined.

  /** Counts a command that makes no progress. */
  countIdle(): Reply | undefined {
    return ++this.#idleCommands > this.#limits.maxIdleCommands ? replies.TOO_MANY_IDLE_COMMANDS : undefined
  }

  /** Sets the counts of bad commands and refusals back, because a message was accepted. */
  countBeforeAuth(): Reply | undefined {
    const isTooMany = ++this.#commandsBeforeAuth > this.#limits.maxCommandsBeforeAuth
    return isTooMany ? replies.TOO_MANY_COMMANDS_BEFORE_AUTH : undefined
  }

  /** Sets back the counts of commands that made no progress, because a message was accepted. */
  forgive(): void {
    this.#badCommands = this.#idleCommands = this.#refusedRecipients = 0
  }

  /** Returns the reply that ends the session if another transaction would be one too many; otherwise undefined. */
  transactionRefusal(): Reply | undefined {
    return this.#transactions >= this.#limits.maxTransactions ? replies.TOO_MANY_TRANSACTIONS : undefined
  }

  countTransaction(): void {
    this.#transactions++
  }

  // The envelope

  /** Returns the refusal of a recipient whose domain would be one too many; otherwise undefined. */
  domainRefusal(domain: string): Reply | undefined {
    if (this.#domains === undefined || this.#domains.size < this.#limits.maxRecipientDomains) return undefined
    return this.#domains.has(asciiDomain(domain) ?? domain) ? undefined : replies.TOO_MANY_DOMAINS
  }

  /** Counts the domain of an accepted recipient. */
  countDomain(domain: string): void {
    if (this.#limits.maxRecipientDomains === Infinity) return
    this.#domains ??= new Set()
    this.#domains.add(asciiDomain(domain) ?? domain)
  }

  /** Counts a path and its parameters to the envelope. Returns the refusal if there is no room; undefined if there is. */
  hold(octets: number): Reply | undefined {
    if (this.#envelopeOctets + octets > this.#limits.maxEnvelopeOctets) return replies.ENVELOPE_TOO_LARGE
    const heldOctets = this.#heldOctets + octets + PATH_OVERHEAD_OCTETS
    const more = Math.max(0, heldOctets - OWN_OCTETS) - this.#allowedOctets
    if (more > 0) {
      if (!this.#envelopes.take(more)) return replies.OUT_OF_MEMORY
      this.#allowedOctets += more
    }
    this.#envelopeOctets += octets
    this.#heldOctets = heldOctets
    return undefined
  }

  /** Takes back what was counted for a refused path. What it took of the allowance is given back with the envelope. */
  letGo(octets: number): void {
    this.#envelopeOctets -= octets
    this.#heldOctets -= octets + PATH_OVERHEAD_OCTETS
  }

  /** Gives everything back, because the envelope is gone. */
  release(): void {
    this.#domains = undefined
    this.#envelopeOctets = 0
    this.#heldOctets = 0
    if (this.#allowedOctets === 0) return
    this.#envelopes.give(this.#allowedOctets)
    this.#allowedOctets = 0
  }
}
