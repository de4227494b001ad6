/** Writes headers of the PROXY protocol as a proxy does. It follows the specification and shares no code with the parser. */

export interface Tlv {
  readonly type: number
  readonly value: Uint8Array
}

export interface BinaryHeader {
  /** 0 LOCAL, 1 PROXY. */
  readonly command?: number
  readonly version?: number
  /** High half family, low half protocol: 0x11 is TCP over IPv4. */
  readonly family?: number
  readonly addresses?: Uint8Array
  readonly tlvs?: readonly Tlv[]
  readonly withChecksum?: boolean
}

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]

export function bytesOf(...parts: readonly (Uint8Array | readonly number[] | string)[]): Uint8Array {
  const encoder = new TextEncoder()
  return Uint8Array.from(parts.flatMap((part) => [...(typeof part === 'string' ? encoder.encode(part) : part)]))
}

export function uint16(value: number): number[] {
  return [value >> 8, value & 0xff]
}

export function encodeTlv({ type, value }: Tlv): Uint8Array {
  return bytesOf([type, ...uint16(value.length)], value)
}

export function encodeBinary(header: BinaryHeader): Uint8Array {
  const { command = 1, version = 2, family = 0x11, addresses = new Uint8Array(), tlvs = [], withChecksum } = header
  const zeroed = withChecksum === true ? [{ type: 0x03, value: new Uint8Array(4) }, ...tlvs] : tlvs
  const body = bytesOf(addresses, ...zeroed.map(encodeTlv))
  const bytes = bytesOf(SIGNATURE, [(version << 4) | command, family], uint16(body.length), body)
  if (withChecksum === true) new DataView(bytes.buffer).setUint32(16 + addresses.length + 3, crc32c(bytes))
  return bytes
}

/** Addresses and ports of TCP, each address by its octets. */
export function ports(source: readonly number[], destination: readonly number[], from: number, to: number): Uint8Array {
  return bytesOf(source, destination, uint16(from), uint16(to))
}

/** The TLS that the client spoke with the proxy: flags, the result of the certificate check, and nested TLVs. */
export function tlsTlv(flags: number, parts: Readonly<Record<number, string>>): Tlv {
  const inner = Object.entries(parts).map(([type, text]) => encodeTlv({ type: Number(type), value: bytesOf(text) }))
  return { type: 0x20, value: bytesOf([flags, 0, 0, 0, 0], ...inner) }
}

/** Computes the CRC by polynomial division, one bit at a time, on reflected bits. */
export function crc32c(bytes: Uint8Array): number {
  let remainder = 0xffffffff
  for (const octet of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const top = ((remainder >>> 31) & 1) ^ ((octet >> bit) & 1)
      remainder = ((remainder << 1) ^ (top === 1 ? 0x1edc6f41 : 0)) >>> 0
    }
  }
  let reflected = 0
  for (let bit = 0; bit < 32; bit++) reflected |= ((remainder >>> bit) & 1) << (31 - bit)
  return ~reflected >>> 0
}
