/**
 * Seals forwarded messages by ARC (RFC 8617): says what we found out about a message when it came, so that the next server can
 * believe it although forwarding has broken SPF, or a change has broken DKIM.
 */
import {
  type ArcSet,
  arcSetsIn,
  canonicalFields,
  MAX_ARC_SETS,
  parseTags,
  type RawField,
  relaxed,
  type Unreadable,
  valueOf,
} from '@postern/mail/signatures'
import { keysFor, SIGNED_FIELDS } from './dkim.ts'
import type { SigningKey } from './key.ts'
import {
  type Chunks,
  lines,
  MAX_SIGNED_FIELDS,
  readMessage,
  signedNames,
  signField,
  unsignedField,
} from './signature.ts'

/** RFC 8617 4.4. */
export type ChainStatus = 'none' | 'pass' | 'fail'

/** What we found out about a message when it came, before anything of it was changed. */
export interface ArcVerdict {
  /** Whether the sets of other servers were valid: `none` if there were none, `unknown` if nobody looked. */
  readonly chain: ChainStatus | 'unknown'
  /** What Authentication-Results has behind the name of the server (RFC 8601 2.2): `spf=pass smtp.mailfrom=example.org; dkim=none`. */
  readonly results: string
}

export type UnsealedReason =
  | Unreadable
  | 'no-from'
  | 'many-fields'
  | 'no-key'
  | 'failed-before'
  | 'many-sets'
  | 'unknown-chain'

/** What a message gets on top. */
export type Seal =
  | {
      readonly isSealed: true
      /** Three fields, each with its CRLF. */
      readonly fields: Uint8Array
      readonly instance: number
      /** What the seal says of the sets before it (`cv=`). */
      readonly chain: ChainStatus
    }
  | { readonly isSealed: false; readonly fields: Uint8Array; readonly reason: UnsealedReason }

export interface ArcSealer {
  /** Reads a message as it will be sent, and seals it. @param nowMs Default: now */
  seal(message: Chunks, verdict: ArcVerdict, nowMs?: number): Promise<Seal>
}

export interface ArcOptions {
  /** Who forwards: the domain of the key. */
  readonly domain: string
  /** The name of this server in Authentication-Results. */
  readonly serverName: string
  /** The keys of all domains, or a function that returns them. An RSA key is preferred, because a set has one signature. */
  readonly keys: readonly SigningKey[] | (() => readonly SigningKey[])
}

const NOTHING = new Uint8Array()
/** Everything that DKIM signs, and the signatures of others. RFC 8617 4.1.2 forbids the fields of ARC and Authentication-Results. */
const SIGNED = { ...SIGNED_FIELDS, 'dkim-signature': 'as-is' } as const

interface ArcHeader {
  readonly fields: readonly RawField[]
  readonly names: readonly string[]
  readonly key: SigningKey
  /** Those that the new seal signs too. */
  readonly sets: readonly ArcSet[]
  readonly instance: number
  readonly chain: ChainStatus
}

/** @throws TypeError */
export function createArcSealer({ domain, serverName, keys }: ArcOptions): ArcSealer {
  checkText('serverName', serverName)
  return {
    async seal(message, verdict, nowMs = Date.now()) {
      checkText('results', verdict.results)
      const [key] = keysFor([domain], typeof keys === 'function' ? keys() : keys, nowMs)
      if (key === undefined) return { isSealed: false, fields: NOTHING, reason: 'no-key' }
      const read = await readMessage<ArcHeader, UnsealedReason>(message, (fields) =>
        readArcHeader(fields, key, verdict),
      )
      if (typeof read === 'string') return { isSealed: false, fields: NOTHING, reason: read }
      const { instance, chain } = read.header
      const text = await sealed(read.header, read.bodyHash, `${serverName}; ${verdict.results}`, nowMs)
      return { isSealed: true, fields: Buffer.from(text, 'latin1'), instance, chain }
    },
  }
}

/** What goes into a field must not begin another one. */
function checkText(what: string, text: string): void {
  if (!/^[\x20-\x7e]{1,8000}$/.test(text)) throw new TypeError(`${what}: it is not one line of printable ASCII`)
}

function readArcHeader(fields: readonly RawField[], key: SigningKey, verdict: ArcVerdict): ArcHeader | UnsealedReason {
  if (!fields.some(({ name }) => name === 'from')) return 'no-from'
  const names = signedNames(fields, SIGNED)
  if (names.length > MAX_SIGNED_FIELDS) return 'many-fields'
  const { sets, isWhole } = arcSetsIn(fields)
  // RFC 8617 5.1: nobody adds to a chain that has failed.
  const last = sets.at(-1)?.seal
  if (last !== undefined && parseTags(valueOf(last))?.get('cv')?.toLowerCase() === 'fail') return 'failed-before'
  if (sets.length >= MAX_ARC_SETS) return 'many-sets'
  // To seal it as failed would spoil a valid chain.
  if (verdict.chain === 'unknown' && (sets.length > 0 || !isWhole)) return 'unknown-chain'
  const chain = sets.length === 0 && isWhole ? 'none' : isWhole && verdict.chain === 'pass' ? 'pass' : 'fail'
  const signed = chain === 'pass' ? sets : []
  return { fields, names, key, sets: signed, instance: sets.length + 1, chain }
}

async function sealed(header: ArcHeader, bodyHash: string, results: string, nowMs: number): Promise<string> {
  const { fields, names, key, sets, instance, chain } = header
  const algorithm = `a=${key.type}-sha256`
  const who = [`d=${key.domain}`, `s=${key.selector}`, `t=${Math.floor(nowMs / 1000)}`]
  const words = results.split(' ').filter((word) => word !== '')
  const name = 'ARC-Authentication-Results'
  const resultsField = `${name}:${lines([`i=${instance};`, ...words], ' ', name.length + 1)}\r\n`
  const messageTags = [`i=${instance}`, algorithm, 'c=relaxed/relaxed', ...who]
  const unsigned = unsignedField('ARC-Message-Signature', messageTags, { names, bodyHash })
  const messageField = await signField(key, canonicalFields(fields, names), unsigned)
  const above = [
    ...sets.flatMap((set) => [set.results, set.messageSignature, set.seal]),
    { name: 'arc-authentication-results', text: resultsField },
    { name: 'arc-message-signature', text: messageField },
  ]
  const signed = above.flatMap((field) => (field === undefined ? [] : `${relaxed(field)}\r\n`)).join('')
  const sealTags = [`i=${instance}`, algorithm, `cv=${chain}`, ...who]
  return (await signField(key, signed, unsignedField('ARC-Seal', sealTags))) + messageField + resultsField
}
