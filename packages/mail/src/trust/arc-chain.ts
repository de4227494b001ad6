/** Checks the sets of ARC in a message (RFC 8617 5.2). */
import { asciiDomain } from '@postern/engine'
import type { Canonicalization } from '../signatures/index.ts'
import {
  type ArcSet,
  type ArcSets,
  arcSetsIn,
  canonicalField,
  parseTags,
  type RawField,
  valueOf,
  withoutSignature,
} from '../signatures/index.ts'
import type { HashedBody } from './bodies.ts'
import { propertyOf, resultsIn } from './results-text.ts'
import { checkMessageSignature, checkOctets, type PendingSignature } from './signature-check.ts'
import { isRefused, readSignature, type SignatureField } from './signature-field.ts'
import type { ArcVerdict, SignatureFault } from './verdicts.ts'

type Whole = Required<ArcSet>

export interface ArcChain {
  readonly verdict: ArcVerdict
  /** The domains for which a sealer says that DMARC passed. The newest set comes first. Empty if the chain is not valid. */
  readonly passes: readonly { readonly sealer: string; readonly author: string | undefined }[]
}

/** The chain of a message, before its body is there. */
export class PendingChain {
  readonly #fields: readonly RawField[]
  readonly #found: ArcSets
  readonly #seals: readonly SignatureField[]
  readonly #fault: SignatureFault | 'structure' | undefined
  readonly #message: SignatureField | undefined
  readonly #pending: (signature: SignatureField) => PendingSignature
  readonly #newest: PendingSignature | undefined

  /** @param pending Begins to look up the key of a signature */
  constructor(fields: readonly RawField[], nowMs: number, pending: (signature: SignatureField) => PendingSignature) {
    this.#fields = fields
    this.#found = arcSetsIn(fields)
    this.#pending = pending
    const { sets, isWhole } = this.#found
    const seals: SignatureField[] = []
    let fault: SignatureFault | 'structure' | undefined = isWhole && isChain(sets) ? undefined : 'structure'
    if (fault === undefined) {
      for (const { seal } of sets as readonly Whole[]) {
        const read = readSignature(seal, 'seal', nowMs)
        if (isRefused(read)) fault ??= read.reason
        else seals.push(read)
      }
      const newest = (sets as readonly Whole[]).at(-1)
      const message = newest && readSignature(newest.messageSignature, 'message', nowMs)
      if (message !== undefined && isRefused(message)) fault ??= message.reason
      else this.#message = message
    }
    this.#seals = seals
    this.#fault = fault
    // DNS is asked while the body comes.
    this.#newest = fault === undefined && this.#message !== undefined ? pending(this.#message) : undefined
  }

  /** The form in which the newest set has hashed the body. */
  get bodyForm(): Canonicalization | undefined {
    return this.#fault === undefined ? this.#message?.bodyForm : undefined
  }

  async check(bodies: ReadonlyMap<Canonicalization, HashedBody>): Promise<ArcChain> {
    const { sets, isWhole } = this.#found
    const count = sets.length
    if (count === 0) {
      const isNone = isWhole
      return {
        verdict: isNone ? { result: 'none', sets: 0 } : { result: 'fail', sets: 0, reason: 'structure' },
        passes: [],
      }
    }
    const sealer = this.#seals.at(-1)?.domain
    const fail = (reason: SignatureFault | 'structure'): ArcChain => ({
      verdict: {
        result: reason === 'dns' ? 'temperror' : 'fail',
        sets: count,
        reason,
        ...(sealer !== undefined && { sealer }),
      },
      passes: [],
    })
    if (this.#fault !== undefined || this.#newest === undefined) return fail(this.#fault ?? 'structure')
    const message = await checkMessageSignature(this.#newest, this.#fields, bodies)
    if (message.result !== 'pass') return fail(message.reason)
    const whole = sets as readonly Whole[]
    // From the newest to the oldest: whoever makes us ask for a key has signed all that is checked before.
    for (let at = count - 1; at >= 0; at--) {
      const seal = this.#seals[at] as SignatureField
      const checked = await checkOctets(this.#pending(seal), () => sealedOctets(whole, at))
      if (checked.result !== 'pass') return fail(checked.reason)
    }
    const passes = whole
      .map((set, at) => ({ sealer: (this.#seals[at] as SignatureField).domain, author: authorOf(set.results) }))
      .toReversed()
    return { verdict: { result: 'pass', sets: count, ...(sealer !== undefined && { sealer }) }, passes }
  }
}

/** Returns whether the seals say of each other what they must (RFC 8617 5.2, steps 2 and 3). */
function isChain(sets: readonly ArcSet[]): boolean {
  return sets.every(({ seal }, at) => {
    const chain = seal && parseTags(valueOf(seal))?.get('cv')?.toLowerCase()
    return chain === (at === 0 ? 'none' : 'pass')
  })
}

/** RFC 8617 5.1.1: the sets from the first one on, each in its order, and the last seal without its signature. */
function sealedOctets(sets: readonly Whole[], last: number): string {
  return sets
    .slice(0, last + 1)
    .flatMap(({ results, messageSignature, seal }, at) => [
      `${canonicalField(results, 'relaxed')}\r\n`,
      `${canonicalField(messageSignature, 'relaxed')}\r\n`,
      at === last ? canonicalField(withoutSignature(seal), 'relaxed') : `${canonicalField(seal, 'relaxed')}\r\n`,
    ])
    .join('')
}

/** Returns the domain of From if these results say that DMARC passed. */
function authorOf(field: RawField): string | undefined {
  // The instance, and the name of the server.
  const [, , ...results] = resultsIn(valueOf(field)) ?? []
  const [dmarc, ...others] = results.filter((result) => /^dmarc[ \t]{0,9}=/i.test(result))
  if (dmarc === undefined || others.length > 0 || !/^dmarc[ \t]{0,9}=[ \t]{0,9}pass(?:[ \t]|$)/i.test(dmarc))
    return undefined
  return asciiDomain(propertyOf(dmarc, 'header.from') ?? '')
}
