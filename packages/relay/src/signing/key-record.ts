/** Compares a key with its record in DNS (RFC 6376 3.6.1). Each fault is the end of the sentence "NAME: …". */
import { bitsOf, isSameKey, type KeyType, openPublic, parseTags, PublicKeyError } from '@postern/mail/signatures'
import { RSA_BITS, type SigningKey } from './key.ts'

export type FaultCode =
  | 'no-record'
  | 'several-records'
  | 'syntax'
  | 'version'
  | 'revoked'
  | 'other-type'
  | 'bad-key'
  | 'other-key'
  | 'hash'
  | 'service'
  | 'test-mode'
  | 'short-key'

export interface Fault {
  readonly code: FaultCode
  readonly text: string
}

const SHOWN = 60
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

/** Finds everything about the records of a key that keeps receivers from verifying its signatures. @param texts The TXT records */
export function findFaults(texts: readonly string[], key: SigningKey): readonly Fault[] {
  const [text, ...others] = texts
  if (text === undefined) return [{ code: 'no-record', text: `there is no record; publish ${key.record}` }]
  if (others.length > 0) {
    const said = `there are ${texts.length} TXT records, and receivers may read any of them; leave one`
    return [{ code: 'several-records', text: said }, ...faultsOf(closest(texts, key), key)]
  }
  return faultsOf(text, key)
}

/** Returns the record that fits best. */
function closest(texts: readonly string[], key: SigningKey): string {
  return texts.find((text) => faultsOf(text, key).length === 0) ?? texts[0] ?? ''
}

function faultsOf(text: string, key: SigningKey): readonly Fault[] {
  const tags = parseTags(text)
  if (tags === undefined)
    return [{ code: 'syntax', text: `the record is no list of tags such as v=DKIM1; p=…: ${shown(text)}` }]
  const faults: Fault[] = []
  const add = (code: FaultCode, said: string): void => void faults.push({ code, text: said })
  const version = tags.get('v')
  const [first] = tags.keys()
  if (version !== undefined && (version !== 'DKIM1' || first !== 'v')) {
    add('version', `v= is ${shown(version)}, and must be DKIM1 and the first tag, if it is there`)
  }
  const type = tags.get('k') ?? 'rsa'
  if (type !== key.type) {
    add('other-type', `k= is ${tags.has('k') ? shown(type) : 'missing, which means rsa'}, and the key is ${key.type}`)
  }
  const algorithms = tags
    .get('h')
    ?.split(':')
    .map((name) => name.trim())
  if (algorithms !== undefined && !algorithms.includes('sha256')) {
    add('hash', `h= is ${shown(tags.get('h') ?? '')}, and must have sha256 (RFC 8301)`)
  }
  const services = tags
    .get('s')
    ?.split(':')
    .map((name) => name.trim())
  if (services !== undefined && !services.includes('*') && !services.includes('email')) {
    add('service', `s= is ${shown(tags.get('s') ?? '')}, and must have email or *`)
  }
  const flags = tags
    .get('t')
    ?.split(':')
    .map((name) => name.trim())
  if (flags?.includes('y') === true)
    add('test-mode', 't=y: receivers treat the mail as unsigned while the domain tests DKIM')
  faults.push(...keyFaults(tags.get('p'), key))
  if (key.type === 'rsa' && key.bits < RSA_BITS) {
    add('short-key', `the RSA key has ${key.bits} bits; RFC 8301 wants at least ${RSA_BITS}`)
  }
  return faults
}

function keyFaults(given: string | undefined, key: SigningKey): readonly Fault[] {
  if (given === undefined) return [{ code: 'syntax', text: 'the record has no p=' }]
  const text = given.replaceAll(/\s/g, '')
  if (text === '') return [{ code: 'revoked', text: 'p= is empty: the key is revoked' }]
  if (!BASE64.test(text)) return [{ code: 'bad-key', text: `p= is not base64: ${shown(text)}` }]
  const octets = Buffer.from(text, 'base64')
  try {
    const published = openPublic(key.type, octets)
    if (isSameKey(published, key.publicKey)) return []
    const bits = key.type === 'rsa' ? ` of ${bitsOf(published)} bits` : ''
    return [{ code: 'other-key', text: `p= is another key${bits}; the record should be ${key.record}` }]
  } catch (error) {
    if (!(error instanceof PublicKeyError)) throw error
    return [{ code: 'bad-key', text: badKey(key.type, octets, error) }]
  }
}

function badKey(type: KeyType, octets: Uint8Array, { message }: PublicKeyError): string {
  // RFC 8463 4 wants the octets of the key alone.
  const isWrapped = type === 'ed25519' && octets.length === 44
  return `p= cannot be read: ${isWrapped ? 'an Ed25519 key is 32 octets, without SubjectPublicKeyInfo (RFC 8463 4)' : message}`
}

/** Others write DNS records, so a terminal gets nothing but printable ASCII. */
function shown(text: string): string {
  const printable = text.replaceAll(/[^\x20-\x7e]/g, '?')
  return JSON.stringify(printable.length > SHOWN ? `${printable.slice(0, SHOWN)}…` : printable)
}
