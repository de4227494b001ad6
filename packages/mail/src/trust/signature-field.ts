/** The fields of signatures: DKIM-Signature, ARC-Message-Signature and ARC-Seal. */
import { asciiDomain } from '@postern/engine'
import { type Canonicalization, type KeyType, parseTags, type RawField, valueOf } from '../signatures/index.ts'
import type { DkimResult, SignatureFault } from './verdicts.ts'

/** A signature that can be checked. */
export interface SignatureField {
  readonly field: RawField
  readonly domain: string
  readonly selector: string
  readonly type: KeyType
  readonly signature: Uint8Array
  readonly headerForm: Canonicalization
  readonly bodyForm: Canonicalization
  /** The names of `h=`, in lower case. */
  readonly names: readonly string[]
  /** `bh=`, as base64. A seal has none. */
  readonly bodyHash: string
  /** `l=`: how many octets of the body are signed. undefined: all. */
  readonly bodyOctets: number | undefined
  /** `i=` has the domain itself, not one below it. */
  readonly isExact: boolean
}

/** Why a signature cannot be valid, with what is known of it. */
export interface Refused {
  readonly result: Exclude<DkimResult, 'pass'>
  readonly reason: SignatureFault
  readonly domain?: string
  readonly selector?: string
  readonly algorithm?: string
}

export type SignatureKind = 'dkim' | 'message' | 'seal'

const MAX_SIGNED_FIELDS = 200
const BASE64 = /^[A-Za-z0-9+/]{2,2000}={0,2}$/
const SELECTOR = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?){0,5}$/
const FIELD_NAME = /^[\x21-\x39\x3b-\x7e]{1,100}$/
const DIGITS = /^\d{1,12}$/
const ALGORITHMS: ReadonlyMap<string, KeyType> = new Map([
  ['rsa-sha256', 'rsa'],
  ['ed25519-sha256', 'ed25519'],
])

export function isRefused(given: object): given is Refused {
  return 'result' in given
}

/** Reads a field. @param nowMs The time for `x=` */
export function readSignature(field: RawField, kind: SignatureKind, nowMs: number): SignatureField | Refused {
  const tags = parseTags(valueOf(field))
  if (tags === undefined) return { result: 'neutral', reason: 'syntax' }
  const domain = asciiDomain(tags.get('d') ?? '')
  const selector = (tags.get('s') ?? '').toLowerCase()
  const algorithm = (tags.get('a') ?? '').toLowerCase()
  const known = {
    ...(domain !== undefined && { domain }),
    ...(SELECTOR.test(selector) && { selector }),
    ...(/^[a-z0-9-]{1,30}$/.test(algorithm) && { algorithm }),
  }
  const refuse = (result: Refused['result'], reason: SignatureFault): Refused => ({ result, reason, ...known })
  if (kind === 'dkim' && tags.get('v') !== '1') return refuse('neutral', 'version')
  const signature = octetsOf(tags.get('b'))
  if (domain === undefined || !SELECTOR.test(selector) || signature === undefined) return refuse('neutral', 'syntax')
  const type = ALGORITHMS.get(algorithm)
  // RFC 8301 3.1: SHA-1 must not be used any more.
  if (type === undefined) return refuse('policy', 'algorithm')
  const base = { field, domain, selector, type, signature }
  if (kind === 'seal') {
    // RFC 8617 4.1.3.
    if (tags.has('h') || tags.has('bh')) return refuse('neutral', 'syntax')
    const whole = {
      headerForm: 'relaxed',
      bodyForm: 'relaxed',
      names: [],
      bodyHash: '',
      bodyOctets: undefined,
    } as const
    return { ...base, ...whole, isExact: true }
  }
  const forms = formsOf(tags.get('c') ?? 'simple/simple')
  const bodyHash = (tags.get('bh') ?? '').replaceAll(/\s/g, '')
  const names = (tags.get('h') ?? '').split(':', MAX_SIGNED_FIELDS + 1).map((name) => name.trim().toLowerCase())
  if (names.length > MAX_SIGNED_FIELDS) return refuse('neutral', 'many-fields')
  const isFieldList = names.every((name) => FIELD_NAME.test(name))
  if (forms === undefined || !BASE64.test(bodyHash) || !isFieldList) return refuse('neutral', 'syntax')
  const [length, expires, time] = [tags.get('l'), tags.get('x'), tags.get('t')]
  if ([length, expires, time].some((text) => text !== undefined && !DIGITS.test(text)))
    return refuse('neutral', 'syntax')
  if (!names.includes('from')) return refuse('permerror', 'no-from')
  // A seal of the chain is never inside of a signature (RFC 8617 4.1.2).
  if (kind === 'message' && names.includes('arc-seal')) return refuse('neutral', 'syntax')
  const queries = tags.get('q')?.split(':')
  if (queries?.every((query) => query.trim().toLowerCase() !== 'dns/txt') === true) return refuse('neutral', 'query')
  const identity = kind === 'dkim' ? identityDomain(tags.get('i'), domain) : domain
  if (identity === undefined) return refuse('neutral', 'identity')
  const expiresMs = Number(expires) * 1000
  if (expires !== undefined && (nowMs > expiresMs || Number(expires) <= Number(time ?? 0))) {
    return refuse('policy', 'expired')
  }
  const bodyOctets = length === undefined ? undefined : Number(length)
  return { ...base, ...forms, names, bodyHash, bodyOctets, isExact: identity === domain }
}

function formsOf(text: string): Pick<SignatureField, 'headerForm' | 'bodyForm'> | undefined {
  const [header = '', body = 'simple', ...others] = text.toLowerCase().split('/')
  if (others.length > 0 || !isForm(header) || !isForm(body)) return undefined
  return { headerForm: header, bodyForm: body }
}

function isForm(text: string): text is Canonicalization {
  return text === 'simple' || text === 'relaxed'
}

/** Returns the domain of `i=`; undefined if it is not the domain of the signature, nor below it. */
function identityDomain(identity: string | undefined, domain: string): string | undefined {
  if (identity === undefined) return domain
  const own = asciiDomain(identity.slice(identity.lastIndexOf('@') + 1))
  return identity.includes('@') && (own === domain || own?.endsWith(`.${domain}`) === true) ? own : undefined
}

function octetsOf(text: string | undefined): Uint8Array | undefined {
  const base64 = (text ?? '').replaceAll(/\s/g, '')
  return BASE64.test(base64) ? Uint8Array.from(Buffer.from(base64, 'base64')) : undefined
}
