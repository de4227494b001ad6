/** Ranges of addresses: which addresses a range holds, and which texts are not a range. RFC 4632 3.1, RFC 4291 2.2. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addressRanges, ipText, parseIp } from '../src/protocol/grammar/address.ts'
import { OptionError } from '../src/protocol/limits.ts'

function includes(ranges: readonly string[], address: string): boolean {
  return addressRanges(ranges).includes({ family: address.includes(':') ? 'ipv6' : 'ipv4', address })
}

describe('ranges', () => {
  test.each([
    [
      '10.0.0.0/8',
      ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3', '::ffff:a01:203'],
      ['9.255.255.255', '11.0.0.0', 'a00::'],
    ],
    ['172.16.0.0/12', ['172.16.0.0', '172.31.255.255'], ['172.15.255.255', '172.32.0.0']],
    ['192.0.2.128/25', ['192.0.2.128', '192.0.2.255'], ['192.0.2.127']],
    ['192.0.2.7', ['192.0.2.7'], ['192.0.2.6', '192.0.2.8', '::c000:207']],
    ['192.0.2.7/32', ['192.0.2.7'], ['192.0.2.6']],
    ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255'], ['::', '::1']],
    ['::/0', ['::', '2001:db8::1'], ['10.0.0.1', '::ffff:10.0.0.1']],
    ['2001:db8::/32', ['2001:db8::', '2001:DB8:ffff:ffff:ffff:ffff:ffff:ffff'], ['2001:db7:ffff::', '2001:db9::']],
    ['fd00::/9', ['fd00::1', 'fd7f::'], ['fd80::', 'fc00::']],
    ['2001:db8::4/126', ['2001:db8::4', '2001:db8::7'], ['2001:db8::3', '2001:db8::8']],
    ['::1', ['::1', '0:0:0:0:0:0:0:1'], ['::2', '127.0.0.1']],
    ['::ffff:10.0.0.0/104', ['10.1.2.3', '::ffff:10.1.2.3'], ['11.0.0.0', '::1']],
    ['::ffff:0:0/96', ['10.1.2.3'], ['::1']],
  ] as const)('%s includes exactly its addresses', (range, inside, outside) => {
    for (const address of inside) expect(includes([range], address), address).toBe(true)
    for (const address of outside) expect(includes([range], address), address).toBe(false)
  })

  test('an address is included if one range of several holds it, and an empty list includes no address', () => {
    expect(includes(['10.0.0.0/8', 'fd00::/8'], 'fd12::1')).toBe(true)
    expect(includes([], '10.0.0.1')).toBe(false)
  })

  test('a peer without an IP address is in no range, and the value all includes it', () => {
    for (const family of ['unix', 'unknown']) {
      expect(addressRanges(['0.0.0.0/0', '::/0']).includes({ family, address: '' })).toBe(false)
      expect(addressRanges('all').includes({ family, address: '' })).toBe(true)
    }
    expect(includes(['0.0.0.0/0'], '1.2.3')).toBe(false)
  })

  test.each([
    '',
    ' 10.0.0.0/8',
    '10.0.0.0/8 ',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    '10.0.0.0/255.0.0.0',
    '10.0.0.1/8',
    '10.0.0',
    '010.0.0.0/8',
    '256.0.0.0',
    '2001:db8::1/32',
    '2001:db8::/129',
    '::ffff:10.0.0.0/8',
    '::ffff:10.0.0.1/104',
    '[::1]',
    'fe80::1%eth0',
    'localhost',
    'all',
  ])('%j is rejected, and the error says that it is not a range', (range) => {
    expect(() => addressRanges([range], 'trusted')).toThrow(OptionError)
    expect(() => addressRanges([range], 'trusted')).toThrow(/^trusted: .* is not an IP address, or a range such as/)
  })

  test('a value that is not a list of texts is rejected', () => {
    expect(() => addressRanges('10.0.0.0/8' as unknown as 'all')).toThrow(
      /^addressRanges: "10\.0\.0\.0\/8" is not 'all' or a list/,
    )
    expect(() => addressRanges([7] as unknown as string[])).toThrow(OptionError)
  })

  test('a range includes an address if the first bits of both are equal', () => {
    const octets = fc.array(fc.nat(255), { minLength: 4, maxLength: 4 })
    const value = (address: readonly number[]): number => address.reduce((sum, octet) => sum * 256 + octet, 0)
    fc.assert(
      fc.property(octets, octets, fc.nat(32), (one, other, bits) => {
        const size = 2 ** (32 - bits)
        const base = Math.floor(value(one) / size) * size
        const network = [24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256)
        expect(includes([`${network.join('.')}/${bits}`], one.join('.'))).toBe(true)
        expect(includes([`${network.join('.')}/${bits}`], other.join('.'))).toBe(
          Math.floor(value(other) / size) * size === base,
        )
      }),
    )
  })
})

describe('text', () => {
  test.each([
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['0:0:1:0:0:0:0:0', '0:0:1::'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%s is written as %s (RFC 5952)', (given, text) => {
    expect(ipText(parseIp(given) ?? [])).toBe(text)
  })

  test('parseIp reads back the text that ipText writes', () => {
    const octets = fc.oneof(
      fc.array(fc.nat(255), { minLength: 4, maxLength: 4 }),
      fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 }),
    )
    const mapping = [...Array<number>(10).fill(0), 255, 255]
    fc.assert(
      fc.property(octets, (address) => {
        // An IPv4-mapped IPv6 address is read as the IPv4 address.
        const isMapped = address.length === 16 && mapping.every((octet, i) => address[i] === octet)
        expect(ipText(parseIp(ipText(address)) ?? [])).toBe(ipText(isMapped ? address.slice(12) : address))
      }),
      { examples: [[[...mapping, 0, 0, 0, 0]], [[...mapping, 192, 0, 2, 1]]] },
    )
  })
})
