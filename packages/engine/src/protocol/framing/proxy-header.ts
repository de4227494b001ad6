/**
 * The header that a proxy sends in front of a connection to name the client: the PROXY protocol, versions 1 and 2 (HAProxy's
 * proxy-protocol.txt; section numbers here refer to it).
 * The parser gets all octets from the beginning of the connection, and is called again as more arrive. It says as early as
 * possible that there is no header. It accepts only what the specification allows exactly, and never guesses, because the
 * server trusts the header.
 */
import { ipText, parseIp, parseIpv4, unmapped } from '../grammar/address.ts'

/** One end of the connection as the proxy saw it. */
export interface ProxiedEndpoint {
  readonly family: 'ipv4' | 'ipv6' | 'unix'
  readonly address: string
  readonly port: number
}

/** What a header says about a connection. */
export interface ProxyHeader {
  /** Absent if the connection is the proxy's own (LOCAL), or of a kind without addresses (UNKNOWN, UNSPEC). */
  readonly endpoints?: { readonly source: ProxiedEndpoint; readonly destination: ProxiedEndpoint }
  /** Present if the client spoke TLS to the proxy and the proxy decrypted it. */
  readonly tls?: ProxiedTls
}

/** What the proxy says about TLS (2.2.6). */
export interface ProxiedTls {
  readonly protocol: string
  /** The name that the proxy gives; HAProxy uses OpenSSL's names. '' if the proxy gives none. */
  readonly cipher: string
  readonly serverName?: string
}

/** The result for the octets so far: too few, no header with the reason, or a header. */
export type ParsedProxyHeader =
  | { readonly type: 'more' }
  | { readonly type: 'malformed'; readonly reason: string }
  | { readonly type: 'header'; readonly header: ProxyHeader; readonly byteLength: number }

/** Octets of the longest header that is accepted. Version 1 allows far less (2.1), and proxies send far less in version 2. */
export const MAX_PROXY_HEADER_OCTETS = 4_096

/** Octets of the longest line (2.1), CRLF included. */
const MAX_LINE_OCTETS = 107
const LINE_START: readonly number[] = [0x50, 0x52, 0x4f, 0x58, 0x59, 0x20] // 'PROXY '
const SIGNATURE: readonly number[] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
const FIXED_OCTETS = 16
const CR = 0x0d
const LF = 0x0a

const TLV = { authority: 0x02, crc32c: 0x03, tls: 0x20, tlsVersion: 0x21, tlsCipher: 0x23 } as const
/** A bit in the first octet of the TLV about TLS: the client connected over TLS. */
const CLIENT_TLS = 0x01
/** Octets of addresses and ports, by address family (2.2). */
const ADDRESS_OCTETS = [0, 12, 36, 216] as const
const UNIX_PATH_OCTETS = 108

const MORE: ParsedProxyHeader = { type: 'more' }
/** The proxy names no client, so the addresses of the connection itself count. */
const NOTHING: ProxyHeader = {}

/** Parses the header at the beginning of a connection, from all octets so far. Never throws. */
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
  // Any text may follow UNKNOWN.
  const header = /^PROXY UNKNOWN(?: |$)/.test(line) ? NOTHING : lineEndpoints(line)
  if (header === undefined)
    return malformed('the line is not "PROXY", a protocol, two addresses of that protocol and two ports')
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
  if (command !== 0x20 && command !== 0x21)
    return malformed('the version is not 2, or the command is neither PROXY nor LOCAL')
  if (byteLength > MAX_PROXY_HEADER_OCTETS) return malformed(`the header is over ${MAX_PROXY_HEADER_OCTETS} octets`)
  // In a LOCAL header nothing else counts, not even the address family.
  const isLocal = command === 0x20
  const addressOctets = ADDRESS_OCTETS[family]
  if (!isLocal) {
    if (addressOctets === undefined || transport > 2) return malformed('the address family or the transport is unknown')
    if (length < addressOctets) return malformed('the header ends within its addresses')
  }
  if (bytes.length < byteLength) return MORE
  // Only streams are served. For all other transports the specification has a proxy send UNSPEC.
  if (isLocal || addressOctets === undefined || addressOctets === 0 || transport !== 1) {
    return { type: 'header', header: NOTHING, byteLength }
  }
  const tlvs = readTlvs(bytes.subarray(FIXED_OCTETS + addressOctets, byteLength))
  if (tlvs === undefined) return malformed('the bytes after the addresses are not valid TLVs, or a TLV is there twice')
  const checksum = tlvs.get(TLV.crc32c)
  if (checksum !== undefined && !isChecksum(checksum, bytes.subarray(0, byteLength))) {
    return malformed('the checksum is wrong')
  }
  const tls = tlvs.has(TLV.tls) ? readTls(tlvs) : undefined
  if (tls === null) return malformed('the TLV about TLS is malformed')
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

/** Returns a Unix socket's path, which ends at the first NUL. Leaves out an address that is not text, such as an abstract name. */
function unixEndpoint(bytes: Uint8Array): ProxiedEndpoint {
  const end = bytes.indexOf(0)
  const path = text(end < 0 ? bytes : bytes.subarray(0, end))
  return { family: 'unix', address: isPrintable(path) ? path : '', port: 0 }
}

/** Reads the TLVs, by type. Returns undefined if they do not fill the space exactly, or if a type that is used here comes twice. */
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

/** Reads the TLV about TLS. Returns undefined if the client did not speak TLS, and null if the TLV is malformed. */
function readTls(tlvs: ReadonlyMap<number, Uint8Array>): ProxiedTls | null | undefined {
  const value = tlvs.get(TLV.tls)
  // One octet of flags, four octets about the client's certificate, then more TLVs.
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

/** Returns the text of a value if it is one word of printable ASCII; otherwise undefined. */
function word(value: Uint8Array | undefined): string | undefined {
  const given = value === undefined || value.length > 255 ? '' : text(value)
  return given !== '' && isPrintable(given) && !given.includes(' ') ? given : undefined
}

function isPrintable(given: string): boolean {
  return /^[\x20-\x7e]*$/.test(given)
}

/**
 * Returns whether this is the CRC32C (RFC 9260 appendix A) of the header. The octets of the checksum itself count as zero
 * (2.2.3).
 */
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

/** Decodes Latin-1, one character for each octet. */
function text(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}
