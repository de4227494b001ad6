import { describe, expect, test } from 'vitest'
import { type Answer, type Endpoint, FakeResolver } from './fake.ts'
import { confirmedName, queryName, reverseName } from '../src/names/index.ts'

test.each([
  ['192.0.2.1', '1.2.0.192.in-addr.arpa'],
  ['2001:db8::567:89ab', 'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa'],
  ['::ffff:192.0.2.1', '1.2.0.192.in-addr.arpa'],
  ['::1', `1.${'0.'.repeat(31)}ip6.arpa`],
  ['192.0.2.256', undefined],
  ['192.0.2.01', undefined],
  ['example.com', undefined],
  ['fe80::1%eth0', undefined],
  ['', undefined],
])('the reverse name of %j is %j', (address, name) => {
  expect(reverseName(address)).toBe(name)
})

test.each([
  ['Example.COM', 'example.com'],
  ['example.com.', 'example.com'],
  ['_25._tcp.mx.example', '_25._tcp.mx.example'],
  ['1.0/25.2.0.192.in-addr.arpa', '1.0/25.2.0.192.in-addr.arpa'],
  ['Bücher.example', 'xn--bcher-kva.example'],
  ['a..b', undefined],
  ['.', undefined],
  ['', undefined],
  ['a b', undefined],
  [String.raw`a\.b`, undefined],
  ['x'.repeat(64), undefined],
  [`${'x'.repeat(63)}.`.repeat(4), undefined],
  ['exam%70le.ü', undefined],
])('%j is asked for as %j', (text, name) => {
  expect(queryName(text)).toBe(name)
})

const CLIENT = '192.0.2.1'
const POINTERS = '1.2.0.192.in-addr.arpa'

function found(records: readonly string[]): Answer {
  return { status: 'found', records, name: '', ttlSeconds: 60, isAuthentic: false } as Answer
}
const FAILED: Answer = { status: 'failed', reason: 'servfail', detail: 'the server answers SERVFAIL' }

describe('the confirmed name of a client', () => {
  test.each<[string, Readonly<Record<string, Answer>>, unknown]>([
    [
      'is the first name that has the address',
      {
        [`PTR ${POINTERS}`]: found(['other.example', 'mail.example']),
        'A other.example': found(['192.0.2.2']),
        'A mail.example': found(['192.0.2.3', CLIENT]),
      },
      { result: 'pass', name: 'mail.example' },
    ],
    [
      'fails if its name does not have the address',
      { [`PTR ${POINTERS}`]: found(['bank.example']), 'A bank.example': found(['192.0.2.2']) },
      { result: 'fail' },
    ],
    ['fails if its name does not exist', { [`PTR ${POINTERS}`]: found(['gone.example']) }, { result: 'fail' }],
    ['is a permanent error if it has no name', {}, { result: 'permerror' }],
    [
      'is a temporary error if nobody knows the name',
      { [`PTR ${POINTERS}`]: FAILED },
      { result: 'temperror', detail: 'the server answers SERVFAIL' },
    ],
    [
      'is a temporary error if nobody knows the addresses of one name, and no other has the address',
      {
        [`PTR ${POINTERS}`]: found(['slow.example', 'other.example']),
        'A slow.example': FAILED,
        'A other.example': found(['192.0.2.2']),
      },
      { result: 'temperror', detail: 'the server answers SERVFAIL' },
    ],
    [
      'is another name if nobody knows the addresses of the first',
      {
        [`PTR ${POINTERS}`]: found(['slow.example', 'mail.example']),
        'A slow.example': FAILED,
        'A mail.example': found([CLIENT]),
      },
      { result: 'pass', name: 'mail.example' },
    ],
  ])('%s', async (_, answers, expected) => {
    expect(await confirmedName(CLIENT, new FakeResolver(answers))).toEqual(expected)
  })

  test('is looked up under the IPv4 address of an IPv4-mapped one', async () => {
    const resolver = new FakeResolver({
      [`PTR ${POINTERS}`]: found(['mail.example']),
      'A mail.example': found([CLIENT]),
    })
    expect(await confirmedName(`::ffff:${CLIENT}`, resolver)).toEqual({ result: 'pass', name: 'mail.example' })
  })

  test('of IPv6 is confirmed however the address is written', async () => {
    const resolver = new FakeResolver({
      [`PTR ${reverseName('2001:db8::1') ?? ''}`]: found(['mail.example']),
      'AAAA mail.example': found(['2001:db8::1']),
    })
    expect(await confirmedName('2001:DB8:0:0::1', resolver)).toEqual({ result: 'pass', name: 'mail.example' })
  })

  test('is not among those behind the tenth', async () => {
    const names = Array.from({ length: 30 }, (_, at) => `host${at}.example`)
    const resolver = new FakeResolver({ [`PTR ${POINTERS}`]: found(names), 'A host10.example': found([CLIENT]) })
    expect(await confirmedName(CLIENT, resolver)).toEqual({ result: 'fail' })
    expect(resolver.asked).toEqual([`PTR ${POINTERS}`, ...names.slice(0, 10).map((name) => `A ${name}`)])
  })

  test('is no text that is not a host name', async () => {
    const names = ['a b.example', 'x\r\nX-Injected: yes', '<script>.example', 'a(comment).example', '[192.0.2.1]', '']
    const answers = Object.fromEntries(names.map((name) => [`A ${name}`, found([CLIENT])]))
    const resolver = new FakeResolver({ ...answers, [`PTR ${POINTERS}`]: found(names) })
    expect(await confirmedName(CLIENT, resolver)).toEqual({ result: 'fail' })
    expect(resolver.asked).toEqual([`PTR ${POINTERS}`])
  })

  test('is looked up for the client, so that its queries count as its own', async () => {
    const client: Endpoint = { family: 'ipv4', address: CLIENT, port: 25 }
    const resolver = new FakeResolver({
      [`PTR ${POINTERS}`]: found(['mail.example']),
      'A mail.example': found([CLIENT]),
    })
    await confirmedName(CLIENT, resolver, { client })
    expect(resolver.clients).toEqual([client, client])
  })

  test('of what is no address is a permanent error, and nobody is asked', async () => {
    const resolver = new FakeResolver({})
    expect(await confirmedName('unix', resolver)).toEqual({ result: 'permerror' })
    expect(resolver.asked).toEqual([])
  })
})
