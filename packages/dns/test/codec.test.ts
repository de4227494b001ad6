/** Hostile answers: whatever a server sends, a resolver answers, and its answer is one of those that the types allow. */
import packet from 'dns-packet'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createResolver, httpsUpstream, type Answer, type RecordType } from '../src/index.ts'
import { decodeResponse } from '../src/message/codec.ts'

const TYPES: readonly RecordType[] = ['A', 'AAAA', 'CNAME', 'MX', 'NS', 'PTR', 'SOA', 'TLSA', 'TXT']
const NAME = 'a.example'

function valid(): Buffer {
  const ttl = 60
  const name = NAME
  return packet.encode({
    type: 'response',
    id: 0,
    flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE,
    questions: [{ type: 'A', name }],
    answers: [
      { type: 'A', name, ttl, data: '192.0.2.1' },
      { type: 'AAAA', name, ttl, data: '2001:db8::1' },
      { type: 'CNAME', name, ttl, data: 'b.example' },
      { type: 'MX', name, ttl, data: { preference: 1, exchange: 'b.example' } },
      { type: 'TXT', name, ttl, data: ['one', 'two'] },
      { type: 'TLSA', name, ttl, data: { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(32) } },
    ],
    authorities: [{ type: 'SOA', name, ttl, data: { mname: 'b.example', rname: 'c.example' } }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 1232,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  })
}

/** Asks a server that answers every question with these bytes. */
function ask(bytes: Uint8Array<ArrayBuffer>, type: RecordType): Promise<Answer> {
  const headers = { 'content-type': 'application/dns-message' }
  const upstream = httpsUpstream('https://dns.example/', { fetch: async () => new Response(bytes, { headers }) })
  return createResolver({ upstreams: [upstream], attempts: 1 }).resolve(NAME, type)
}

function expectSound(answer: Answer): void {
  expect(['found', 'nodata', 'nxdomain', 'failed']).toContain(answer.status)
  if (answer.status === 'found') {
    expect(answer.records.length).toBeGreaterThan(0)
    expect(JSON.stringify(answer.records)).not.toMatch(/undefined|null|NaN/)
  }
  if (answer.status !== 'failed') expect(answer.ttlSeconds).toBeGreaterThanOrEqual(0)
}

const anyType = fc.constantFrom(...TYPES)

test('any bytes are an answer or a failure', async () => {
  const bytes = fc.uint8Array({ maxLength: 600 })
  await fc.assert(
    fc.asyncProperty(bytes, anyType, async (bytes, type) => expectSound(await ask(new Uint8Array(bytes), type))),
  )
})

test('any change of an answer gives an answer or a failure', async () => {
  const change = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) })
  const changes = fc.array(change, { minLength: 1, maxLength: 8 })
  const cut = fc.option(fc.nat(), { nil: undefined })
  await fc.assert(
    fc.asyncProperty(changes, cut, anyType, async (changes, cut, type) => {
      const bytes = new Uint8Array(valid())
      for (const { at, value } of changes) bytes[at % bytes.length] = value
      expectSound(await ask(bytes.slice(0, cut === undefined ? bytes.length : cut % bytes.length), type))
    }),
    { numRuns: 300 },
  )
})

test('an answer that is cut off anywhere is a failure', async () => {
  const whole = valid()
  expect((await ask(new Uint8Array(whole), 'A')).status).toBe('found')
  for (let length = 0; length < whole.length; length++) {
    const { status } = await ask(new Uint8Array(whole.subarray(0, length)), 'A')
    expect([length, status]).toEqual([length, 'failed'])
  }
})

// Each pointer leads to the one before it, so a name takes as many steps as there are pointers, for each record again.
test('many records behind a long chain of pointers are a failure', () => {
  const bytes = Buffer.alloc(32_768)
  Buffer.from([0, 0, 0x80, 0, 0, 1, 0xff, 0xff]).copy(bytes)
  let at = 12
  bytes[at++] = 0
  bytes.writeUInt32BE(0x0001_0001, at)
  for (at += 4; at + 2 <= bytes.length; at += 2) bytes.writeUInt16BE(0xc000 | Math.max(12, (at - 2) & 0x3fff), at)
  expect(decodeResponse(bytes)).toBeUndefined()
})

// The codec reads as many octets as the type has, and takes the rest for the next record.
test.each([
  ['A', 5],
  ['A', 3],
  ['AAAA', 4],
] as const)('a record of type %s with %i octets is a failure', async (type, length) => {
  const data = Buffer.alloc(length, 1)
  const answers = [{ type: 'NULL' as const, name: NAME, ttl: 60, data }]
  const bytes = packet.encode({ type: 'response', questions: [{ type, name: NAME }], answers })
  // The type is the number behind the name of the record, which is as long as the question's.
  const typeAt = 12 + NAME.length + 2 + 4 + NAME.length + 2
  expect(bytes.readUInt16BE(typeAt)).toBe(10)
  bytes.writeUInt16BE(type === 'A' ? 1 : 28, typeAt)
  expect(await ask(new Uint8Array(bytes), type)).toMatchObject({ status: 'failed', reason: 'malformed' })
})

test('more bytes than a sensible answer has are a failure', async () => {
  const padded = Buffer.concat([valid(), Buffer.alloc(40_000)])
  expect(decodeResponse(padded)).toBeUndefined()
  expect(await ask(new Uint8Array(padded), 'A')).toMatchObject({ status: 'failed', reason: 'malformed' })
})

test('a TTL with the highest bit set counts as 0', async () => {
  const bytes = packet.encode({
    type: 'response',
    questions: [{ type: 'A', name: NAME }],
    answers: [{ type: 'A', name: NAME, ttl: 0x8000_0001, data: '192.0.2.1' }],
  })
  expect(await ask(new Uint8Array(bytes), 'A')).toMatchObject({ status: 'found', ttlSeconds: 0 })
})

test('a query is no answer', () => {
  expect(decodeResponse(packet.encode({ type: 'query', questions: [{ type: 'A', name: NAME }] }))).toBeUndefined()
})

test.each([
  [{ upstreams: [] }, /upstreams: there must be at least one server/],
  [{ attempts: 0 }, /attempts: 0 is not from 1/],
  [{ timeoutMs: NaN }, /timeoutMs: NaN is not from 1/],
  [{ maxQueries: Infinity }, /maxQueries: Infinity is not from 1/],
])('a resolver with the options %j is refused', (options, message) => {
  const upstreams = [httpsUpstream('https://dns.example/')]
  expect(() => createResolver({ upstreams, ...options })).toThrow(message)
})

test('a server over HTTPS has a URL of HTTP', () => {
  expect(() => httpsUpstream('ftp://dns.example/')).toThrow(TypeError)
  expect(() => httpsUpstream('dns.example')).toThrow(TypeError)
})
