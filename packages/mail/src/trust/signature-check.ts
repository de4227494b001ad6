/** Checks one signature of a message, by DKIM or by ARC. */
import type { Canonicalization } from '../signatures/index.ts'
import { canonicalField, canonicalFields, type RawField, withoutSignature } from '../signatures/index.ts'
import type { HashedBody } from './bodies.ts'
import { type FoundKey, isSigned } from './public-keys.ts'
import { isRefused, type Refused, type SignatureField } from './signature-field.ts'
import type { SignatureFault } from './verdicts.ts'

export type Checked = { readonly result: 'pass'; readonly isTest: boolean } | Refused

/** A signature, and its key as soon as DNS has told it. */
export interface PendingSignature {
  readonly signature: SignatureField
  readonly key: Promise<FoundKey | Refused>
}

/** Checks a signature over fields and body. */
export async function checkMessageSignature(
  { signature, key }: PendingSignature,
  fields: readonly RawField[],
  bodies: ReadonlyMap<Canonicalization, HashedBody>,
): Promise<Checked> {
  const fault = bodyFault(signature, bodies.get(signature.bodyForm))
  const { names, headerForm, field } = signature
  // A field never signs itself, not even if it lists its own name.
  const others = fields.filter((one) => one !== field)
  const signed = (): string =>
    canonicalFields(others, names, headerForm) + canonicalField(withoutSignature(field), headerForm)
  return checkOctets({ signature, key }, signed, fault)
}

/**
 * Checks a signature over octets.
 * @param fault What is known to be wrong. The key is asked for first, because a signature without a key is a lesser fault
 */
export async function checkOctets(
  { signature, key }: PendingSignature,
  signed: () => string,
  fault?: Pick<Refused, 'result' | 'reason'>,
): Promise<Checked> {
  const { domain, selector, type } = signature
  const found = await key
  if (isRefused(found)) return found
  const known = { domain, selector, algorithm: `${type}-sha256` }
  if (fault !== undefined) return { ...fault, ...known }
  const isValid = await isSigned(found, type, signature.signature, signed())
  return isValid ? { result: 'pass', isTest: found.isTest } : { result: 'fail', reason: 'header', ...known }
}

function bodyFault(
  { bodyHash, bodyOctets }: SignatureField,
  body: HashedBody | undefined,
): Pick<Refused, 'result' | 'reason'> | undefined {
  const fail = (result: Refused['result'], reason: SignatureFault): Pick<Refused, 'result' | 'reason'> => ({
    result,
    reason,
  })
  if (body === undefined) throw new Error('the body was not hashed in this form')
  // RFC 6376 8.2: whoever forwards the message can put another text behind what is signed.
  if (bodyOctets !== undefined && bodyOctets < body.octets) return fail('policy', 'partial-body')
  if (bodyOctets !== undefined && bodyOctets > body.octets) return fail('permerror', 'short-body')
  return isSameBase64(bodyHash, body.digest) ? undefined : fail('fail', 'body')
}

function isSameBase64(one: string, other: string): boolean {
  return Buffer.from(one, 'base64').equals(Buffer.from(other, 'base64'))
}
