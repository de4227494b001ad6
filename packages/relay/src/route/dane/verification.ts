/** Checks the certificates of a server by TLSA records: RFC 6698 2.1, RFC 7671 5, RFC 7672 3. */
import type { TlsaRecord } from '@postern/dns/names'
import type { X509Certificate } from '@peculiar/x509'
import type { TlsFailureType } from '../outcome.ts'

export interface DaneCheck {
  readonly tlsa: readonly TlsaRecord[]
  /** A certificate that DANE-TA vouches for must be for one of them. */
  readonly names: readonly string[]
  /** The certificates that the server showed, as DER, its own first: `Duplex.peerCertificates`. */
  readonly certificates: readonly Uint8Array[]
  /** Milliseconds since 1970. */
  readonly now: number
}

/** undefined: the server is the right one. */
export type DaneFailure = { readonly type: TlsFailureType; readonly detail: string } | undefined

/** A server is not the one that the records name. */
export class DaneError extends Error {
  override readonly name = 'DaneError'
  readonly code: TlsFailureType

  constructor({ type, detail }: NonNullable<DaneFailure>) {
    super(detail)
    this.code = type
  }
}

/** Chains are shorter. */
const MAX_CERTIFICATES = 10
const DANE_TA = 2
const DANE_EE = 3
const HASHES: Readonly<Record<number, 'SHA-256' | 'SHA-512'>> = { 1: 'SHA-256', 2: 'SHA-512' }

type X509 = typeof import('@peculiar/x509')

/** A certificate, and whether a DANE-TA record names it. */
interface Link {
  readonly certificate: X509Certificate
  readonly isAnchor: boolean
}

/** Returns why a server is not the one that the records name. */
export async function verifyDane({ tlsa, names, certificates, now }: DaneCheck): Promise<DaneFailure> {
  // Loads the library and its polyfill only when a host has TLSA records.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const [own, ...others] = certificates.slice(0, MAX_CERTIFICATES).flatMap((der) => parse(x509, der))
  if (own === undefined) return { type: 'validation-failure', detail: 'the server showed no certificate' }
  // DANE-EE replaces the names and the dates of the certificate (RFC 7672 3.1.1).
  if (await matchesAny(own, tlsa, DANE_EE)) return undefined
  const whole = tlsa.filter(
    ({ usage, selector, matchingType }) => usage === DANE_TA && selector === 0 && matchingType === 0,
  )
  // A server need not show an authority that is in a record as a whole (RFC 7671 5.2.2).
  const issuers = [...others, ...whole.flatMap(({ data }) => parse(x509, data))]
  const links = await Promise.all(
    issuers.map(async (certificate) => ({ certificate, isAnchor: await matchesAny(certificate, tlsa, DANE_TA) })),
  )
  // A certificate may be its own anchor.
  const ownLink = { certificate: own, isAnchor: await matchesAny(own, tlsa, DANE_TA) }
  const path = await pathOf(ownLink, links, x509)
  if (path === undefined)
    return { type: 'validation-failure', detail: 'no TLSA record is for a certificate of the server' }
  if (!path.every(({ notBefore, notAfter }) => notBefore.getTime() <= now && now <= notAfter.getTime())) {
    return { type: 'certificate-expired', detail: 'a certificate of the server is not valid now' }
  }
  const found = dnsNames(own, x509)
  if (names.some((name) => found.some((pattern) => isFor(pattern, name)))) return undefined
  return { type: 'certificate-host-mismatch', detail: `the certificate is not for ${names[0] ?? 'the server'}` }
}

/** Does the same as {@link verifyDane}, for `verifyServer` of a client. @throws DaneError */
export async function requireDane(check: DaneCheck): Promise<void> {
  const failure = await verifyDane(check)
  if (failure !== undefined) throw new DaneError(failure)
}

function parse({ X509Certificate }: X509, der: Uint8Array): readonly X509Certificate[] {
  try {
    return [new X509Certificate(der.slice())]
  } catch {
    return []
  }
}

async function matchesAny(certificate: X509Certificate, tlsa: readonly TlsaRecord[], usage: number): Promise<boolean> {
  for (const record of tlsa) if (record.usage === usage && (await matches(certificate, record))) return true
  return false
}

async function matches(certificate: X509Certificate, { selector, matchingType, data }: TlsaRecord): Promise<boolean> {
  const selected = selector === 0 ? certificate.rawData : certificate.publicKey.rawData
  const hash = HASHES[matchingType]
  const value = new Uint8Array(hash === undefined ? selected : await crypto.subtle.digest(hash, selected))
  return value.length === data.length && value.every((octet, at) => octet === data[at])
}

/** Finds the certificates from the server's own up to an anchor, each signed by the next. */
async function pathOf(
  own: Link,
  issuers: readonly Link[],
  x509: X509,
): Promise<readonly X509Certificate[] | undefined> {
  const path = [own.certificate]
  let last = own
  const left = new Set(issuers)
  while (!last.isAnchor) {
    const issuer = await issuerOf(last.certificate, left, path.length - 1, x509)
    if (issuer === undefined) return undefined
    left.delete(issuer)
    path.push(issuer.certificate)
    last = issuer
  }
  return path
}

async function issuerOf(
  certificate: X509Certificate,
  candidates: ReadonlySet<Link>,
  /** Authorities between the issuer and the server's own certificate. */
  below: number,
  x509: X509,
): Promise<Link | undefined> {
  // An anchor ends the path, so it is tried first.
  const anchorsFirst = [...candidates].toSorted((one, other) => Number(other.isAnchor) - Number(one.isAnchor))
  for (const candidate of anchorsFirst) {
    if (candidate.certificate.subject !== certificate.issuer || !isAuthority(candidate.certificate, below, x509))
      continue
    if (await isSignedBy(certificate, candidate.certificate)) return candidate
  }
  return undefined
}

function isAuthority(certificate: X509Certificate, below: number, { BasicConstraintsExtension }: X509): boolean {
  const constraints = certificate.getExtension(BasicConstraintsExtension)
  return constraints?.ca === true && below <= (constraints.pathLength ?? Infinity)
}

async function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): Promise<boolean> {
  try {
    return await certificate.verify({ publicKey: issuer, signatureOnly: true }, crypto)
  } catch {
    // The key or the algorithm is not one that this runtime knows.
    return false
  }
}

function dnsNames(certificate: X509Certificate, { SubjectAlternativeNameExtension }: X509): readonly string[] {
  const extension = certificate.getExtension(SubjectAlternativeNameExtension)
  const names = extension?.names.items ?? []
  return names.filter(({ type }) => type === 'dns').map(({ value }) => value.toLowerCase())
}

/** RFC 9525 6.3: `*` stands for the whole first label. */
function isFor(pattern: string, name: string): boolean {
  if (!pattern.startsWith('*.')) return pattern === name
  const dot = name.indexOf('.')
  return dot > 0 && pattern.slice(1) === name.slice(dot)
}
