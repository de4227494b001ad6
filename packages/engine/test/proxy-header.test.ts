/** Headers of the PROXY protocol: HAProxy's proxy-protocol.txt, sections 2.1 and 2.2. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MAX_PROXY_HEADER_OCTETS, parseProxyHeader, type ProxyHeader } from '../src/protocol/framing/proxy-header.ts'
import { type BinaryHeader, bytesOf, crc32c, encodeBinary, ports, tlsTlv, uint16 } from './proxy-encoder.ts'

const CLIENT = [192, 0, 2, 7]
const SERVER = [198, 51, 100, 25]
const TCP4 = ports(CLIENT, SERVER, 51_234, 25)
/** The second octet of the length. */
const LENGTH_LOW = 15
/** The offset of the type of the first TLV. With another type there, the header has no checksum. */
const CHECKSUM_TYPE = 16 + TCP4.length
const source = { family: 'ipv4', address: '192.0.2.7', port: 51_234 }
const destination = { family: 'ipv4', address: '198.51.100.25', port: 25 }

/** Parses a header. Checks that bytes behind it change nothing, and that each shorter part of it gives 'more'. */
function parse(given: Uint8Array | string): ProxyHeader | string {
  const bytes = typeof given === 'string' ? bytesOf(given) : given
  const parsed = parseProxyHeader(bytes)
  if (parsed.type !== 'header') return parsed.type === 'more' ? 'more' : parsed.reason
  expect(parsed.byteLength).toBe(bytes.length)
  expect(parseProxyHeader(bytesOf(bytes, 'EHLO client.example\r\n'))).toEqual(parsed)
  for (let cut = 0; cut < bytes.length; cut++)
    expect(parseProxyHeader(bytes.subarray(0, cut)).type, `${cut}`).toBe('more')
  return parsed.header
}

/** A view in the middle of other bytes, as it comes out of a socket's buffer. */
function inTheMiddle(bytes: Uint8Array): Uint8Array {
  return bytesOf([0xff, 0xff, 0xff], bytes, [0xff]).subarray(3, 3 + bytes.length)
}

describe('version 1', () => {
  test('TCP4 gives both endpoints', () => {
    expect(parse('PROXY TCP4 192.0.2.7 198.51.100.25 51234 25\r\n')).toEqual({ endpoints: { source, destination } })
    expect(parse('PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n')).toHaveProperty('endpoints.source', {
      family: 'ipv4',
      address: '255.255.255.255',
      port: 65_535,
    })
  })

  test('TCP6 gives both endpoints, with addresses in canonical form', () => {
    const line = 'PROXY TCP6 2001:DB8:0:0:1:0:0:1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 1 65535\r\n'
    expect(parse(line)).toEqual({
      endpoints: {
        source: { family: 'ipv6', address: '2001:db8::1:0:0:1', port: 1 },
        destination: { family: 'ipv6', address: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', port: 65_535 },
      },
    })
  })

  test('an IPv4-mapped address becomes the IPv4 address, so that limits count both as one', () => {
    expect(parse('PROXY TCP6 ::ffff:192.0.2.7 ::ffff:c633:6419 51234 25\r\n')).toEqual({
      endpoints: { source, destination },
    })
  })

  test('UNKNOWN gives no endpoints, whatever follows it', () => {
    expect(parse('PROXY UNKNOWN\r\n')).toEqual({})
    expect(parse('PROXY UNKNOWN ffff::1 anything at all \x00\xff 1\r\n')).toEqual({})
  })

  test.each([
    ['a leading zero in an address', 'PROXY TCP4 192.0.02.7 198.51.100.25 51234 25\r\n'],
    ['a leading zero in a dotted end', 'PROXY TCP6 ::ffff:192.0.2.07 ::1 51234 25\r\n'],
    ['an octet over 255', 'PROXY TCP4 256.0.2.7 198.51.100.25 51234 25\r\n'],
    ['three octets', 'PROXY TCP4 192.0.2 198.51.100.25 51234 25\r\n'],
    ['a leading zero in a port', 'PROXY TCP4 192.0.2.7 198.51.100.25 051234 25\r\n'],
    ['a port over 65535', 'PROXY TCP4 192.0.2.7 198.51.100.25 65536 25\r\n'],
    ['a sign', 'PROXY TCP4 192.0.2.7 198.51.100.25 +1 25\r\n'],
    ['two blanks', 'PROXY  TCP4 192.0.2.7 198.51.100.25 51234 25\r\n'],
    ['a tab', 'PROXY TCP4\t192.0.2.7 198.51.100.25 51234 25\r\n'],
    ['a blank at the end', 'PROXY TCP4 192.0.2.7 198.51.100.25 51234 25 \r\n'],
    ['a port too few', 'PROXY TCP4 192.0.2.7 198.51.100.25 51234\r\n'],
    ['an address of the other family', 'PROXY TCP4 ::1 ::1 51234 25\r\n'],
    ['an IPv4 address for TCP6', 'PROXY TCP6 192.0.2.7 198.51.100.25 51234 25\r\n'],
    ['a zone', 'PROXY TCP6 fe80::1%eth0 ::1 51234 25\r\n'],
    ['two runs of zeros', 'PROXY TCP6 1::2::3 ::1 51234 25\r\n'],
    ['another protocol', 'PROXY UDP4 192.0.2.7 198.51.100.25 51234 25\r\n'],
    ['lower case', 'PROXY tcp4 192.0.2.7 198.51.100.25 51234 25\r\n'],
    ['UNKNOWN and more in one word', 'PROXY UNKNOWNS\r\n'],
    ['bare LF', 'PROXY TCP4 192.0.2.7 198.51.100.25 51234 25\n'],
    ['bare CR', 'PROXY TCP4 192.0.2.7 198.51.100.25 51234 25\rE'],
    ['nothing', 'PROXY \r\n'],
    ['SMTP', 'EHLO client.example\r\n'],
    ['a longer first word', 'PROXYS TCP4 192.0.2.7 198.51.100.25 51234 25\r\n'],
    ['a CR first, as version 2 has', '\r\nPROXY'],
  ])('%s is not a header', (_, line) => {
    expect(parseProxyHeader(bytesOf(line)).type).toBe('malformed')
  })

  test('a line of 107 octets is accepted, and a longer one is malformed', () => {
    const longest = `PROXY UNKNOWN ${'x'.repeat(91)}\r\n`
    expect(longest).toHaveLength(107)
    expect(parse(longest)).toEqual({})
    expect(parseProxyHeader(bytesOf(`PROXY UNKNOWN ${'x'.repeat(92)}\r`)).type).toBe('malformed')
    expect(parseProxyHeader(bytesOf(`PROXY UNKNOWN ${'x'.repeat(93)}`)).type).toBe('malformed')
    expect(parseProxyHeader(bytesOf(`PROXY UNKNOWN ${'x'.repeat(92)}`)).type).toBe('more')
  })
})

describe('version 2', () => {
  test('TCP over IPv4 gives both endpoints, with and without TLVs', () => {
    const tlvs = [
      { type: 0x05, value: bytesOf('unique') },
      { type: 0x04, value: new Uint8Array(3) },
      { type: 0xee, value: new Uint8Array(0) },
    ]
    expect(parse(encodeBinary({ addresses: TCP4 }))).toEqual({ endpoints: { source, destination } })
    expect(parse(encodeBinary({ addresses: TCP4, tlvs }))).toEqual({ endpoints: { source, destination } })
  })

  test('TCP over IPv6 gives both endpoints', () => {
    const one = [...Array<number>(15).fill(0), 1]
    const other = [0x20, 0x01, 0x0d, 0xb8, ...Array<number>(10).fill(0), 0xab, 0xcd]
    expect(parse(encodeBinary({ family: 0x21, addresses: ports(one, other, 1, 2) }))).toEqual({
      endpoints: {
        source: { family: 'ipv6', address: '::1', port: 1 },
        destination: { family: 'ipv6', address: '2001:db8::abcd', port: 2 },
      },
    })
    const mapped = [...Array<number>(10).fill(0), 0xff, 0xff]
    const addresses = ports([...mapped, ...CLIENT], [...mapped, ...SERVER], 51_234, 25)
    expect(parse(encodeBinary({ family: 0x21, addresses }))).toEqual({ endpoints: { source, destination } })
  })

  test('Unix sockets give both paths', () => {
    const path = (text: string): Uint8Array => bytesOf(text, new Uint8Array(108 - text.length))
    const addresses = bytesOf(path('/run/client'), path('\0abstract'))
    expect(parse(encodeBinary({ family: 0x31, addresses }))).toEqual({
      endpoints: {
        source: { family: 'unix', address: '/run/client', port: 0 },
        destination: { family: 'unix', address: '', port: 0 },
      },
    })
    const full = bytesOf('/'.repeat(108), '/'.repeat(108))
    expect(parse(encodeBinary({ family: 0x31, addresses: full }))).toHaveProperty(
      'endpoints.source.address',
      '/'.repeat(108),
    )
    const control = bytesOf(path('/run\r\nX'), path('/run/x'))
    expect(parse(encodeBinary({ family: 0x31, addresses: control }))).toHaveProperty('endpoints.source.address', '')
  })

  test.each<[string, BinaryHeader]>([
    ['LOCAL', { command: 0, family: 0 }],
    [
      'LOCAL with an unknown family, and bytes without a meaning',
      { command: 0, family: 0xff, addresses: bytesOf('junk') },
    ],
    ['LOCAL with addresses, which do not count', { command: 0, addresses: TCP4 }],
    ['no family', { family: 0x00 }],
    ['no family, and bytes without a meaning', { family: 0x00, addresses: bytesOf('junk') }],
    ['no protocol', { family: 0x10, addresses: TCP4 }],
    ['UDP, which is not served', { family: 0x12, addresses: TCP4 }],
  ])('with %s, the connection keeps its own addresses', (_, header) => {
    expect(parse(encodeBinary(header))).toEqual({})
  })

  test.each<[string, BinaryHeader]>([
    ['version 1 in binary', { version: 1, addresses: TCP4 }],
    ['version 3', { version: 3, addresses: TCP4 }],
    ['another command', { command: 2, addresses: TCP4 }],
    ['another family', { family: 0x41, addresses: TCP4 }],
    ['another protocol', { family: 0x13, addresses: TCP4 }],
    ['an address cut short', { addresses: TCP4.subarray(0, 11) }],
    ['an IPv6 address cut short', { family: 0x21, addresses: new Uint8Array(35) }],
    ['a path cut short', { family: 0x31, addresses: new Uint8Array(215) }],
    ['a TLV without its length', { addresses: bytesOf(TCP4, [0x04, 0]) }],
    ['a TLV longer than the header', { addresses: bytesOf(TCP4, [0x04, 0, 2, 0]) }],
    ['a checksum of three octets', { addresses: TCP4, tlvs: [{ type: 0x03, value: new Uint8Array(3) }] }],
    ['a checksum of five octets', { addresses: TCP4, tlvs: [{ type: 0x03, value: new Uint8Array(5) }] }],
    ['a wrong checksum', { addresses: TCP4, tlvs: [{ type: 0x03, value: new Uint8Array(4) }] }],
  ])('%s is not a header', (_, header) => {
    expect(parseProxyHeader(encodeBinary(header)).type).toBe('malformed')
  })

  test('a header over 4,096 octets is rejected as soon as its length is read', () => {
    const fill = (octets: number): Uint8Array => {
      const value = new Uint8Array(octets - 16 - TCP4.length - 3)
      return encodeBinary({ addresses: TCP4, tlvs: [{ type: 0x04, value }] })
    }
    expect(parse(fill(MAX_PROXY_HEADER_OCTETS))).toEqual({ endpoints: { source, destination } })
    const over = fill(MAX_PROXY_HEADER_OCTETS + 1)
    expect(parseProxyHeader(over).type).toBe('malformed')
    expect(parseProxyHeader(over.subarray(0, 16)).type).toBe('malformed')
  })

  test('the checksum covers the whole header, and nothing else', () => {
    // RFC 3720 B.4, the 32 octets of zeros and of ones.
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
    const header = encodeBinary({ addresses: TCP4, withChecksum: true, tlvs: [{ type: 0x04, value: bytesOf('xyz') }] })
    expect(parse(header)).toEqual({ endpoints: { source, destination } })
    expect(parseProxyHeader(inTheMiddle(header)).type).toBe('header')
    for (let i = 16; i < header.length; i++) {
      if (i === CHECKSUM_TYPE) continue
      const changed = header.slice()
      changed[i] = (changed[i] ?? 0) ^ 0x01
      expect(parseProxyHeader(changed).type, `${i}`).toBe('malformed')
    }
  })
})

describe('TLS that the proxy ended', () => {
  const VERSION = 0x21
  const CN = 0x22
  const CIPHER = 0x23
  const withTlvs = (...tlvs: NonNullable<BinaryHeader['tlvs']>): Uint8Array => encodeBinary({ addresses: TCP4, tlvs })
  const tls = { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' }
  const spoken = tlsTlv(0x01, { [VERSION]: tls.protocol, [CIPHER]: tls.cipher, [CN]: 'not believed' })

  test('the header gives version, cipher and the server name that the client asked for', () => {
    expect(parse(withTlvs(spoken))).toHaveProperty('tls', tls)
    const name = { type: 0x02, value: bytesOf('mx.example.com') }
    expect(parse(withTlvs(name, spoken))).toHaveProperty('tls', { ...tls, serverName: 'mx.example.com' })
    expect(parse(withTlvs({ type: 0x02, value: bytesOf('a\r\nb') }, spoken))).toHaveProperty('tls', tls)
    expect(parse(withTlvs(tlsTlv(0x07, { [VERSION]: 'TLSv1.2' })))).toHaveProperty('tls', {
      protocol: 'TLSv1.2',
      cipher: '',
    })
  })

  test('the header gives no TLS if the client did not speak it', () => {
    expect(parse(withTlvs(tlsTlv(0x00, {})))).not.toHaveProperty('tls')
    expect(parse(withTlvs({ type: 0x02, value: bytesOf('mx.example.com') }))).not.toHaveProperty('tls')
  })

  test.each([
    ['no version', tlsTlv(0x01, { [CIPHER]: tls.cipher })],
    ['an empty version', tlsTlv(0x01, { [VERSION]: '' })],
    ['a version that would break a header field', tlsTlv(0x01, { [VERSION]: 'TLS\r\nX: y' })],
    ['a cipher that is not one word', tlsTlv(0x01, { [VERSION]: 'TLSv1.3', [CIPHER]: 'a b' })],
    ['four octets', { type: 0x20, value: new Uint8Array(4) }],
    ['a part cut short', { type: 0x20, value: bytesOf([1, 0, 0, 0, 0, VERSION, 0, 9], 'TLSv1.3') }],
  ])('%s is not a header', (_, tlv) => {
    expect(parseProxyHeader(withTlvs(tlv)).type).toBe('malformed')
  })

  test('a header with two TLS TLVs is malformed', () => {
    expect(parseProxyHeader(withTlvs(spoken, tlsTlv(0x00, {}))).type).toBe('malformed')
  })
})

describe('anything', () => {
  const ip4 = fc.array(fc.nat(255), { minLength: 4, maxLength: 4 })
  const ip6 = fc.array(fc.nat(255), { minLength: 16, maxLength: 16 })
  const port = fc.nat(65_535)

  test('the parser reads back what the encoder writes, in both versions', () => {
    fc.assert(
      fc.property(ip4, ip4, port, port, fc.boolean(), (from, to, fromPort, toPort, withChecksum) => {
        const binary = parse(encodeBinary({ addresses: ports(from, to, fromPort, toPort), withChecksum }))
        const line = parse(`PROXY TCP4 ${from.join('.')} ${to.join('.')} ${fromPort} ${toPort}\r\n`)
        expect(line).toEqual(binary)
        expect(line).toHaveProperty('endpoints.source', { family: 'ipv4', address: from.join('.'), port: fromPort })
      }),
      { numRuns: 50 },
    )
    fc.assert(
      fc.property(ip6, ip6, port, port, (from, to, fromPort, toPort) => {
        const text = (octets: readonly number[]): string =>
          Array.from({ length: 8 }, (_, i) => (octets[2 * i]! * 256 + octets[2 * i + 1]!).toString(16)).join(':')
        const binary = parse(encodeBinary({ family: 0x21, addresses: ports(from, to, fromPort, toPort) }))
        expect(parse(`PROXY TCP6 ${text(from)} ${text(to)} ${fromPort} ${toPort}\r\n`)).toEqual(binary)
      }),
      { numRuns: 50 },
    )
  })

  test('random bytes never make the parser throw, nor wait for more than the longest header', () => {
    const start = fc.constantFrom('', 'PROXY ', 'PROXY TCP4 ', 'PROXY TCP6 ::1 ').map((text) => bytesOf(text))
    const binary = encodeBinary({ addresses: TCP4 }).subarray(0, 12)
    fc.assert(
      fc.property(fc.oneof(start, fc.constant(binary)), fc.uint8Array({ maxLength: 200 }), (first, rest) => {
        const parsed = parseProxyHeader(bytesOf(first, rest))
        if (parsed.type === 'header') expect(parsed.byteLength).toBeLessThanOrEqual(first.length + rest.length)
      }),
      { numRuns: 2_000 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ minLength: MAX_PROXY_HEADER_OCTETS, maxLength: 5_000 }), (bytes) => {
        expect(parseProxyHeader(bytes).type).not.toBe('more')
      }),
      { numRuns: 50 },
    )
  })

  test('one changed octet of a header with a checksum is never read as another header', () => {
    const header = encodeBinary({ addresses: TCP4, withChecksum: true })
    const honest = parseProxyHeader(header)
    for (let i = 0; i < header.length; i++) {
      for (let mask = 1; mask < 256; mask++) {
        const changed = header.slice()
        changed[i] = (changed[i] ?? 0) ^ mask
        // If the change hits the type of the TLV or the length, the header has no checksum.
        if (i === CHECKSUM_TYPE || changed[LENGTH_LOW] === TCP4.length) continue
        const parsed = parseProxyHeader(changed)
        // With another family or with LOCAL the parser gives no endpoints. No change gives other endpoints.
        if (parsed.type === 'header') expect(parsed.header).toEqual({})
        else expect(parsed).not.toEqual(honest)
      }
    }
  })

  test('the length of the header says where the bytes of the client begin', () => {
    const header = encodeBinary({ addresses: TCP4 })
    expect(header.subarray(14, 16)).toEqual(Uint8Array.from(uint16(12)))
    expect(parseProxyHeader(bytesOf(header, [0x16, 3, 1]))).toMatchObject({ byteLength: 28 })
  })
})
