/** The script of the server that the contract of resolvers asks. It runs on Node; the checks run on every runtime. */
import packet, { type Answer } from 'dns-packet'
import { encodeScene, type Query, type Scene, type Script } from '../../kit/dns-server.ts'
import { EVIL, LONG_STRINGS, MANY, SLOW_TEXT, TLSA_DATA } from './values.ts'

const TTL = 300
const NXDOMAIN = 3

function a(name: string, data: string, ttl: number = TTL): Answer {
  return { type: 'A', name, data, ttl }
}

function cname(name: string, data: string, ttl: number = TTL): Answer {
  return { type: 'CNAME', name, data, ttl }
}

function soa(name: string, ttl: number, minimum: number): Answer {
  const numbers = { serial: 7, refresh: 8, retry: 9, expire: 10, minimum }
  return { type: 'SOA', name, ttl, data: { mname: 'ns.example', rname: 'hostmaster.example', ...numbers } }
}

/** Returns the answer of somebody who can't see the query. */
function forged(query: Query, id: number, scene: Scene = {}): Buffer {
  return encodeScene(query, { answers: [a(scene.question ?? query.name, EVIL)], ...scene }, id)
}

/** Answers a datagram with "use TCP", and anything else with this. */
function overTcp(scene: Scene | ((query: Query) => Scene)): (query: Query) => Scene {
  return (query) => {
    if (query.carrier === 'udp') return { flags: packet.TRUNCATED_RESPONSE }
    return typeof scene === 'function' ? scene(query) : scene
  }
}

const SCENES: Readonly<Record<string, (query: Query, own: string) => Scene | undefined>> = {
  host: ({ name, type }) => {
    if (type === 'A') return { answers: [a(name, '192.0.2.1', 300), a(name, '192.0.2.2', 200)] }
    const data = ['2001:db8:0:0:0:0:0:1', '::ffff:192.0.2.3']
    return { answers: data.map((text) => ({ type: 'AAAA', name, data: text, ttl: TTL })) }
  },
  text: ({ name }) => ({
    answers: [
      { type: 'TXT', name, ttl: TTL, data: LONG_STRINGS.map((string) => Buffer.from(string)) },
      { type: 'TXT', name, ttl: TTL, data: 'v=spf1 -all' },
    ],
  }),
  mail: ({ name }) => ({
    answers: [
      [20, 'Second.Example'],
      [10, 'first.example'],
      [30, 'third.example'],
    ].map(([preference, exchange]) => ({
      type: 'MX',
      name,
      ttl: TTL,
      data: { preference: preference as number, exchange: exchange as string },
    })),
  }),
  'no-mail': ({ name }) => ({ answers: [{ type: 'MX', name, ttl: TTL, data: { preference: 0, exchange: '.' } }] }),
  tlsa: ({ name }) => ({
    flags: packet.AUTHENTIC_DATA,
    answers: [
      {
        type: 'TLSA',
        name,
        ttl: TTL,
        data: { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.from(TLSA_DATA) },
      },
    ],
  }),
  names: ({ name, type }) => ({ answers: [{ type: type as 'NS', name, ttl: TTL, data: 'NS1.Example' }] }),
  soa: ({ name }) => ({ answers: [soa(name, TTL, 60)] }),
  nodata: (_, own) => ({ authorities: [soa(own, 30, 60)] }),
  'nodata-long': (_, own) => ({ authorities: [soa(own, 600, 45)] }),
  'nodata-bare': () => ({}),
  nxdomain: (_, own) => ({ rcode: NXDOMAIN, authorities: [soa(own, 600, 45)] }),
  servfail: () => ({ rcode: 2 }),
  refused: () => ({ rcode: 5 }),
  notimp: () => ({ rcode: 4 }),
  'no-edns': ({ name, payloadBytes }) => (payloadBytes > 0 ? { rcode: 1 } : { answers: [a(name, '192.0.2.1')] }),
  'no-edns-bare': ({ name, payloadBytes }) =>
    payloadBytes > 0 ? { rcode: 1, change: headerAlone } : { answers: [a(name, '192.0.2.1')] },
  'no-edns-tcp': overTcp(({ name, payloadBytes }) =>
    payloadBytes > 0 ? { rcode: 4, change: headerAlone } : { answers: [a(name, '192.0.2.1')] },
  ),
  'bare-always': () => ({ rcode: 1, change: headerAlone }),
  lame: (_, own) => ({
    isNotRecursive: true,
    authorities: [{ type: 'NS', name: own, ttl: TTL, data: 'ns.elsewhere.example' }],
  }),
  large: overTcp(({ name }) => ({ answers: MANY.map((data) => a(name, data)) })),
  'large-cut': ({ carrier, name }) => {
    const scene = { answers: MANY.map((data) => a(name, data)) }
    if (carrier !== 'udp') return scene
    return { ...scene, flags: packet.TRUNCATED_RESPONSE, change: (bytes) => bytes.subarray(0, 611) }
  },
  chain: ({ name }, own) => ({
    answers: [
      a(`three.${own}`, '192.0.2.1', 50),
      cname(name, `TWO.${own}`, 40),
      cname(`two.${own}`, `three.${own}`, 60),
      a(`stray.${own}`, EVIL, 1),
    ],
  }),
  apart: ({ name }, own) => ({ answers: [cname(name, `host.${own}`, 40)] }),
  'to-nxdomain': ({ name }, own) => ({
    rcode: NXDOMAIN,
    answers: [cname(name, `gone.${own}`, 20)],
    authorities: [soa(own, 600, 45)],
  }),
  'to-nodata': ({ name }, own) => ({ answers: [cname(name, `empty.${own}`)], authorities: [soa(own, 600, 45)] }),
  loop: ({ name }, own) => ({ answers: [cname(name, `b.${own}`), cname(`b.${own}`, name)] }),
  'loop-apart': ({ name }, own) => ({ answers: [cname(name, `loop-back.${own}`)] }),
  'loop-back': ({ name }, own) => ({ answers: [cname(name, `loop-apart.${own}`)] }),
  'no-name': ({ name }) => ({ answers: [cname(name, 'a b.example')] }),
  lost: ({ name, count }) => (count <= 2 ? undefined : { answers: [a(name, '192.0.2.1')] }),
  silent: () => undefined,
  authentic: ({ name }) => ({ flags: packet.AUTHENTIC_DATA, answers: [a(name, '192.0.2.1')] }),
  'forged-id': (query) => ({
    before: [1, 2, 3].map((step) => ({ bytes: forged(query, (query.id + step) & 0xffff) })),
    answers: [a(query.name, '192.0.2.1')],
  }),
  'forged-port': (query) => ({
    before: [{ bytes: forged(query, query.id), isFromOther: true }],
    answers: [a(query.name, '192.0.2.1')],
  }),
  'forged-question': (query, own) => ({
    before: [{ bytes: forged(query, query.id, { question: `other.${own}` }) }],
    answers: [a(query.name, '192.0.2.1')],
  }),
  'forged-query': (query) => ({
    before: [{ bytes: packet.encode({ type: 'query', id: query.id, questions: [{ type: 'A', name: query.name }] }) }],
    answers: [a(query.name, '192.0.2.1')],
  }),
  'forged-many': (query) =>
    query.carrier === 'udp'
      ? {
          before: Array.from({ length: 30 }, (_, step) => ({ bytes: forged(query, (query.id + 1 + step) & 0xffff) })),
          manner: 'silent',
        }
      : { answers: [a(query.name, '192.0.2.1')] },
  'small-letters': ({ carrier, key }) => ({ question: key, answers: [a(key, carrier === 'udp' ? EVIL : '192.0.2.1')] }),
  garbage: () => ({ change: () => Buffer.from('this is no message of DNS'.repeat(3)) }),
  'cut-short': ({ name }) => ({ answers: [a(name, '192.0.2.1')], change: (bytes) => bytes.subarray(0, -3) }),
  pointers: ({ name }) => ({ answers: [a(name, '192.0.2.1')], change: pointAtItself }),
  'other-question': (_, own) => ({ question: `other.${own}`, answers: [a(`other.${own}`, EVIL)] }),
  slow: overTcp(({ name }) => ({
    manner: 'slow',
    answers: [{ type: 'TXT', name, ttl: TTL, data: SLOW_TEXT }],
  })),
  endless: overTcp({ manner: 'endless' }),
  close: overTcp({ manner: 'close' }),
  'silent-tcp': overTcp({ manner: 'silent' }),
  'tcp-garbage': overTcp({ change: () => Buffer.from('this is no message of DNS'.repeat(3)) }),
  query: ({ name, payloadBytes, flags }) => ({
    answers: [{ type: 'TXT', name, ttl: TTL, data: `${payloadBytes} ${flags.join(' ')}` }],
  }),
  status: () => ({ status: 500 }),
  redirect: () => ({ status: 307, headers: { location: '/dns-query' } }),
  'media-type': ({ name }) => ({ answers: [a(name, EVIL)], headers: { 'content-type': 'text/html' } }),
  age: ({ name }) => ({ answers: [a(name, '192.0.2.1', 300)], headers: { age: '100' } }),
  aged: ({ name }) => ({ answers: [a(name, '192.0.2.1', 300)], headers: { age: '1000' } }),
}

/** Answers each query as the scene of its name says; a name without a scene does not exist. */
export const script: Script = (query) => {
  const labels = query.key.split('.').filter((label) => !label.startsWith('_'))
  const [scene = '', ...own] = labels
  const chosen = SCENES[scene]
  return chosen === undefined ? { rcode: NXDOMAIN } : chosen(query, own.join('.'))
}

/** Leaves out all but the header, as a server does that could not read the query. */
function headerAlone(bytes: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, 4), Buffer.alloc(8)])
}

/** Makes the name of the first record a pointer to itself. */
function pointAtItself(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes)
  const end = changed.indexOf(0, 12) + 5
  changed.writeUInt16BE(0xc000 | end, end)
  return changed
}
