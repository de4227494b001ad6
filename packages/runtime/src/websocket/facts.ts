/**
 * What a front says about a connection, and the function that reads it. Facts of another form, or too long ones, are
 * refused.
 */
import type { Endpoint, PeerCertificate, TlsInfo } from '@postern/engine'

/** What is known about a piped connection when it begins. */
export interface PipeFacts {
  /** The client, as the front saw it. */
  readonly remote: Endpoint
  /** The address of the front that it came to. */
  readonly local: Endpoint
  /** Present if the client's TLS ends at the front, and its handshake is done. */
  readonly tls?: TlsInfo | undefined
  /** True if the front can make the handshake of STARTTLS. */
  readonly canStartTls: boolean
  /** The client came to a port for submission (RFC 6409): no mail is accepted without TLS and AUTH. */
  readonly submission: boolean
}

type Fields = Readonly<Record<string, unknown>>

const MAX_NAME_LENGTH = 255
const MAX_DISTINGUISHED_NAME_LENGTH = 1_024
const FAMILIES = ['ipv4', 'ipv6', 'unix', 'unknown'] as const
/** The form of an address of each family. Other text is refused. */
const ADDRESSES: Readonly<Record<Endpoint['family'], RegExp>> = {
  ipv4: /^\d{1,3}(\.\d{1,3}){3}$/,
  ipv6: /^[0-9a-f:.]{2,45}$/i,
  unix: /^\P{Cc}{0,255}$/u,
  unknown: /^$/,
}

/** Checks facts. Returns undefined if they have another form. */
export function readFacts(value: unknown): PipeFacts | undefined {
  if (!isObject(value) || !hasOnly(value, 'remote', 'local', 'tls', 'canStartTls', 'submission')) return undefined
  const { canStartTls, submission } = value
  const remote = readEndpoint(value['remote'])
  const local = readEndpoint(value['local'])
  if (remote === undefined || local === undefined) return undefined
  if (typeof canStartTls !== 'boolean' || typeof submission !== 'boolean') return undefined
  if (value['tls'] === undefined) return { remote, local, canStartTls, submission }
  const tls = readTls(value['tls'])
  // There is never TLS inside TLS.
  return tls === undefined || canStartTls ? undefined : { remote, local, tls, canStartTls, submission }
}

/** Checks the details of a handshake. Returns undefined if they have another form. */
export function readTls(value: unknown): TlsInfo | undefined {
  if (!isObject(value) || !hasOnly(value, 'protocol', 'cipher', 'serverName', 'peerCertificate')) return undefined
  const { protocol, cipher, serverName } = value
  if (typeof protocol !== 'string' || !/^(TLSv1(\.[0-3])?)?$/.test(protocol)) return undefined
  if (typeof cipher !== 'string' || !/^[\w-]{0,64}$/.test(cipher)) return undefined
  if (serverName !== undefined && !isPrintable(serverName, MAX_NAME_LENGTH)) return undefined
  const named = serverName === undefined ? {} : { serverName }
  if (value['peerCertificate'] === undefined) return { protocol, cipher, ...named }
  const peerCertificate = readCertificate(value['peerCertificate'])
  return peerCertificate === undefined ? undefined : { protocol, cipher, ...named, peerCertificate }
}

function readCertificate(value: unknown): PeerCertificate | undefined {
  if (!isObject(value) || !hasOnly(value, 'subject', 'issuer', 'fingerprint', 'verified')) return undefined
  const { subject, issuer, fingerprint, verified } = value
  if (!isPrintable(subject, MAX_DISTINGUISHED_NAME_LENGTH) || !isPrintable(issuer, MAX_DISTINGUISHED_NAME_LENGTH)) {
    return undefined
  }
  if (typeof fingerprint !== 'string' || !/^[0-9a-f]{64}$/.test(fingerprint)) return undefined
  return typeof verified === 'boolean' ? { subject, issuer, fingerprint, verified } : undefined
}

function readEndpoint(value: unknown): Endpoint | undefined {
  if (!isObject(value) || !hasOnly(value, 'family', 'address', 'port')) return undefined
  const { address, port } = value
  const family = FAMILIES.find((name) => name === value['family'])
  if (family === undefined || typeof address !== 'string' || !ADDRESSES[family].test(address)) return undefined
  if (family === 'ipv4' && address.split('.').some((part) => Number(part) > 255)) return undefined
  if (family === 'ipv6' && !URL.canParse(`http://[${address}]/`)) return undefined
  const isPort = Number.isInteger(port) && (port as number) >= 0 && (port as number) <= 65_535
  return isPort ? { family, address, port: port as number } : undefined
}

/** Returns whether the value is lines of printable text. A distinguished name has one line for each part. */
function isPrintable(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value.length <= maxLength && /^[\P{Cc}\n]*$/u.test(value)
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Returns whether the object has no field besides these. */
export function hasOnly(value: Fields, ...names: readonly string[]): boolean {
  return Object.keys(value).every((name) => names.includes(name))
}
