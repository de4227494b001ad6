/**
 * The header that a proxy sends in front of a connection, to say whose it is: the PROXY protocol, versions 1 and 2
 * (HAProxy's proxy-protocol.txt, whose sections are named here).
 *
 * The one function reads from the first octet of a connection, over and over as more arrives, and says as soon as it can that
 * this is no header. What is not exactly as the specification has it is none: a header is believed, so it is not guessed at.
 */
import { ipText, parseIp, parseIpv4, unmapped } from '../grammar/address.ts'

/** One end of the connection as the proxy saw it. */
export interface ProxiedEndpoint {
  readonly family: 'ipv4' | 'ipv6' | 'unix'
  readonly address: string
  readonly port: number
}

/** What a header says of a connection. */
export interface ProxyHeader {
  /** Absent where the connection is the proxy's own (LOCAL), or of a kind that has no addresses (UNKNOWN, UNSPEC). */
  readonly endpoints?: { readonly source: ProxiedEndpoint; readonly destination: ProxiedEndpoint }
  /** Present where the client spoke TLS to the proxy, and the proxy ended it. */
  readonly tls?: ProxiedTls
}

/** What the proxy says of TLS (2.2.6). */
export interface ProxiedTls {
  readonly protocol: string
  /** As the proxy names it; HAProxy has OpenSSL's names. '' where it does not tell. */
  readonly cipher: string
  readonly serverName?: string
}

/** What has arrived so far is: not enough; no header, and why; or a header. */
export type ParsedProxyHeader =
  | { readonly type: 'more' }
  | { readonly type: 'malformed'; readonly reason: string }
  | { readonly type: 'header'; readonly header: ProxyHeader; readonly byteLength: number }

/** Octets of the longest header that is read: what 2.1 allows of version 1 is far less, and what proxies send of version 2. */
export const MAX_PROXY_HEADER_OCTETS = 4_096

/** Octets of the longest line (2.1), CRLF included. */
const MAX_LINE_OCTETS = 107
const LINE_START: readonly number[] = [0x50, 0x52, 0x4f, 0x58, 0x59, 0x20] // 'PROXY '
const SIGNATURE: readonly number[] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
const FIXED_OCTETS = 16
const CR = 0x0d
const LF = 0x0a

const TLV = { authority: 0x02, crc32c: 0x03, tls: 0x20, tlsVersion: 0x21, tlsCipher: 0x23 } as const
/** In the first octet of the TLV about TLS: the client connected over it. */
const CLIENT_TLS = 0x01
/** Octets of addresses and ports, by family (2.2). */
const ADDRESS_OCTETS = [0, 12, 36, 216] as const
const UNIX_PATH_OCTETS = 108

const MORE: ParsedProxyHeader = { type: 'more' }
/** The proxy vouches for nobody: the connection's own ends stand. */
const NOTHING: ProxyHeader = {}

/** Reads the header at the beginning of a connection from all that has arrived of it so far. Never throws. */
export function parseProxyHeader(bytes: Uint8Array): ParsedProxyHeader {
  if (bytes.length === 0) return MORE
  const start = bytes[0] === LINE_START[0] ? LINE_START : SIGNATURE
  if (!startsWith(bytes, start)) return malformed('the connection does not begin with a header')
  if (bytes.length < start.length) return MORE
  return start === LINE_START ? parseLine(bytes) : parseBinary(bytes)
}

function startsWith(bytes: Uint8Array, start: readonly number[]): boolean {
  return start.every((octet, i) => i >= bytes.length || bytes[i] === octet)
}

function malformed(reason: string): ParsedProxyHeader {
  return { type: 'malformed', reason }
}

// Version 1 (2.1)

const PORT = '(0|[1-9]\\d{0,4})'
const LINE = new RegExp(`^PROXY (TCP[46]) (\\S+) (\\S+) ${PORT} ${PORT}$`)

function parseLine(bytes: Uint8Array): ParsedProxyHeader {
  const end = bytes.subarray(0, MAX_LINE_OCTETS).findIndex((octet) => octet === CR || octet === LF)
  if (end < 0) return bytes.length < MAX_LINE_OCTETS ? MORE : malformed(`the line is over ${MAX_LINE_OCTETS} octets`)
  if (bytes[end] === CR && end + 1 === MAX_LINE_OCTETS) return malformed(`the line is over ${MAX_LINE_OCTETS} octets`)
  if (bytes[end] === CR && end + 1 === bytes.length) return MORE
  if (bytes[end] !== CR || bytes[end + 1] !== LF) return malformed('the line does not end with CRLF')
  const line = text(bytes.subarray(0, end))
  // Behind UNKNOWN may stand anything.
  const header = /^PROXY UNKNOWN(?: |$)/.test(line) ? NOTHING : lineEndpoints(line)
  if (header === undefined) return malformed('the line is not "PROXY", a protocol, two addresses of it and two ports')
  return { type: 'header', header, byteLength: end + 2 }
}

function lineEndpoints(line: string): ProxyHeader | undefined {
  const [, protocol, from = '', to = '', fromPort, toPort] = LINE.exec(line) ?? []
  const source = protocol && lineEndpoint(protocol, from, Number(fromPort))
  const destination = protocol && lineEndpoint(protocol, to, Number(toPort))
  return source && destination ? { endpoints: { source, destination } } : undefined
}

function lineEndpoint(protocol: string, address: string, port: number): ProxiedEndpoint | undefined {
  const octets = protocol === 'TCP4' ? parseIpv4(address) : address.includes(':') ? parseIp(address) : undefined
  return octets === undefined || port > 65_535 ? undefined : ipEndpoint(octets, port)
}

// Version 2 (2.2)

function parseBinary(bytes: Uint8Array): ParsedProxyHeader {
  if (bytes.length < FIXED_OCTETS) return MORE
  const command = at(bytes, 12)
  const family = at(bytes, 13) >> 4
  const transport = at(bytes, 13) & 0x0f
  const length = uint16(bytes, 14)
  const byteLength = FIXED_OCTETS + length
  if (command !== 0x20 && command !== 0x21) return malformed('neither version 2, nor PROXY or LOCAL')
  if (byteLength > MAX_PROXY_HEADER_OCTETS) return malformed(`the header is over ${MAX_PROXY_HEADER_OCTETS} octets`)
  // Of LOCAL nothing else counts, the family included.
  const isLocal = command === 0x20
  const addressOctets = ADDRESS_OCTETS[family]
  if (!isLocal) {
    if (addressOctets === undefined || transport > 2) return malformed('a family or a protocol that is none')
    if (length < addressOctets) return malformed('the header ends within its addresses')
  }
  if (bytes.length < byteLength) return MORE
  // Only streams are served; about what else there may be, the specification has a proxy say UNSPEC.
  if (isLocal || addressOctets === undefined || addressOctets === 0 || transport !== 1) {
    return { type: 'header', header: NOTHING, byteLength }
  }
  const tlvs = readTlvs(bytes.subarray(FIXED_OCTETS + addressOctets, byteLength))
  if (tlvs === undefined) return malformed('what follows the addresses is not made of TLVs, or has one of them twice')
  const checksum = tlvs.get(TLV.crc32c)
  if (checksum !== undefined && !isChecksum(checksum, bytes.subarray(0, byteLength))) {
    return malformed('the checksum is wrong')
  }
  const tls = tlvs.has(TLV.tls) ? readTls(tlvs) : undefined
  if (tls === null) return malformed('what it says of TLS is malformed')
  const endpoints = binaryEndpoints(family, bytes.subarray(FIXED_OCTETS))
  return { type: 'header', header: tls === undefined ? { endpoints } : { endpoints, tls }, byteLength }
}

function binaryEndpoints(family: number, bytes: Uint8Array): NonNullable<ProxyHeader['endpoints']> {
  if (family === 3) {
    const source = unixEndpoint(bytes.subarray(0, UNIX_PATH_OCTETS))
    return { source, destination: unixEndpoint(bytes.subarray(UNIX_PATH_OCTETS, 2 * UNIX_PATH_OCTETS)) }
  }
  const size = family === 1 ? 4 : 16
  return {
    source: ipEndpoint([...bytes.subarray(0, size)], uint16(bytes, 2 * size)),
    destination: ipEndpoint([...bytes.subarray(size, 2 * size)], uint16(bytes, 2 * size + 2)),
  }
}

function ipEndpoint(octets: readonly number[], port: number): ProxiedEndpoint {
  const address = unmapped(octets)
  return { family: address.length === 4 ? 'ipv4' : 'ipv6', address: ipText(address), port }
}

/** A path ends at the first NUL; what is no text, such as an abstract name, is left out. */
function unixEndpoint(bytes: Uint8Array): ProxiedEndpoint {
  const end = bytes.indexOf(0)
  const path = text(end < 0 ? bytes : bytes.subarray(0, end))
  return { family: 'unix', address: isPrintable(path) ? path : '', port: 0 }
}

/** Values by type. undefined where they do not fill the room exactly, or one that counts here is there twice. */
function readTlvs(bytes: Uint8Array): Map<number, Uint8Array> | undefined {
  const values = new Map<number, Uint8Array>()
  let start = 0
  while (start < bytes.length) {
    if (start + 3 > bytes.length) return undefined
    const type = at(bytes, start)
    const end = start + 3 + uint16(bytes, start + 1)
    if (end > bytes.length) return undefined
    const counts = type === TLV.crc32c || type === TLV.tls || type === TLV.tlsVersion || type === TLV.tlsCipher
    if (counts && values.has(type)) return undefined
    values.set(type, bytes.subarray(start + 3, end))
    start = end
  }
  return values
}

/** undefined: the client did not speak TLS. null: malformed. */
function readTls(tlvs: ReadonlyMap<number, Uint8Array>): ProxiedTls | null | undefined {
  const value = tlvs.get(TLV.tls)
  // One octet of flags, four about the client's certificate, then TLVs of its own.
  if (value === undefined || value.length < 5) return null
  const parts = readTlvs(value.subarray(5))
  if (parts === undefined) return null
  if ((at(value, 0) & CLIENT_TLS) === 0) return undefined
  const protocol = word(parts.get(TLV.tlsVersion))
  const cipher = parts.has(TLV.tlsCipher) ? word(parts.get(TLV.tlsCipher)) : ''
  if (protocol === undefined || cipher === undefined) return null
  const serverName = word(tlvs.get(TLV.authority))
  return serverName === undefined ? { protocol, cipher } : { protocol, cipher, serverName }
}

/** The text of a value, where it is one word of printable ASCII. */
function word(value: Uint8Array | undefined): string | undefined {
  const given = value === undefined || value.length > 255 ? '' : text(value)
  return given !== '' && isPrintable(given) && !given.includes(' ') ? given : undefined
}

function isPrintable(given: string): boolean {
  return /^[\x20-\x7e]*$/.test(given)
}

/** Whether this is the CRC32C (RFC 9260 appendix A) of the header, in which its own octets count as zero (2.2.3). */
function isChecksum(value: Uint8Array, header: Uint8Array): boolean {
  if (value.length !== 4) return false
  const start = value.byteOffset - header.byteOffset
  let crc = -1
  header.forEach((octet, i) => {
    crc ^= i >= start && i < start + 4 ? 0 : octet
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  })
  return ~crc >>> 0 === uint16(value, 0) * 65_536 + uint16(value, 2)
}

function at(bytes: Uint8Array, i: number): number {
  return bytes[i] ?? 0
}

function uint16(bytes: Uint8Array, i: number): number {
  return (at(bytes, i) << 8) | at(bytes, i + 1)
}

/** Latin-1, a character an octet. */
function text(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}
