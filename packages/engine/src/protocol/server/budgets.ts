/** What a session may use up before it is ended: bad commands, commands that lead nowhere, AUTHs; and room for its envelope. */
import * as replies from '../grammar/replies.ts'
import type { Reply } from '../grammar/reply.ts'
import type { Limits } from '../limits.ts'
import type { Allowance } from './allowance.ts'

/** What a path costs besides its octets: the objects that it is made of. */
const PATH_OVERHEAD_OCTETS = 512
/** What each envelope may have of its own: so that ordinary mail is taken when others have used up what all sessions share. */
const OWN_OCTETS = 4_096

export class Budgets {
  readonly #limits: Limits
  readonly #envelopes: Allowance
  #badCommands = 0
  #idleCommands = 0
  /** Since a message was accepted. */
  #refusedRecipients = 0
  #failedAuths = 0
  #commandsBeforeAuth = 0
  /** Octets of the envelope's paths and parameters. */
  #envelopeOctets = 0
  /** The same, and what its objects cost. */
  #heldOctets = 0
  /** What it has of the server's allowance. */
  #allowedOctets = 0

  /** @param envelopes What the envelopes of all sessions may hold */
  constructor(limits: Limits, envelopes: Allowance) {
    this.#limits = limits
    this.#envelopes = envelopes
  }

  // Each counts, and returns the refusal, or the reply that ends the session if there were too many.

  ofBadCommand(refusal: Reply): Reply {
    return ++this.#badCommands >= this.#limits.maxBadCommands ? replies.TOO_MANY_ERRORS : refusal
  }

  /** Of a refusal that leads nowhere. */
  ofIdle(refusal: Reply): Reply {
    return this.countIdle() ?? refusal
  }

  /** Of a recipient. A transaction may have as many that are refused as it may have others. */
  ofRecipient(refusal: Reply): Reply {
    return ++this.#refusedRecipients > this.#limits.maxRecipients ? this.ofIdle(refusal) : refusal
  }

  ofFailedAuth(refusal: Reply): Reply {
    return ++this.#failedAuths >= this.#limits.maxFailedAuths ? replies.TOO_MANY_FAILED_AUTHS : refusal
  }

  // Each counts, and returns the reply that ends the session if there were too many; undefined otherwise.

  /** Of a command that leads nowhere. */
  countIdle(): Reply | undefined {
    return ++this.#idleCommands > this.#limits.maxIdleCommands ? replies.TOO_MANY_IDLE_COMMANDS : undefined
  }

  /** Of a command where AUTH is required and missing. */
  countBeforeAuth(): Reply | undefined {
    const isTooMany = ++this.#commandsBeforeAuth > this.#limits.maxCommandsBeforeAuth
    return isTooMany ? replies.TOO_MANY_COMMANDS_BEFORE_AUTH : undefined
  }

  /** A message was accepted: what led nowhere before it counts no more. */
  forgive(): void {
    this.#badCommands = this.#idleCommands = this.#refusedRecipients = 0
  }

  // The envelope

  /** Counts a path and its parameters to the envelope. Returns why there is no room for them; undefined if there is. */
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

  /** Takes back what was counted for a path that is refused. What it had of the allowance is given back with the envelope. */
  letGo(octets: number): void {
    this.#envelopeOctets -= octets
    this.#heldOctets -= octets + PATH_OVERHEAD_OCTETS
  }

  /** There is no envelope any more. */
  release(): void {
    this.#envelopeOctets = 0
    this.#heldOctets = 0
    if (this.#allowedOctets === 0) return
    this.#envelopes.give(this.#allowedOctets)
    this.#allowedOctets = 0
  }
}
