/** Verdicts of a whole message: who is proved to have sent it, what DNS may cost, and what Authentication-Results says. */
import type { Resolver } from '@postern/dns/names'
import { createVerifier, resultsField, type VerifierOptions, type Verdicts, withoutClaims } from '@postern/mail/trust'
import { describe, expect, test } from 'vitest'
import { originOf } from './job.ts'
import { NOW_MS, recordsOf, signed } from './signed.ts'
import { textZone, type Zone, zoneResolver } from './zone.ts'

const HOSTNAME = 'mx.receiver.example'
const CLIENT = '192.0.2.1'
const MESSAGE = 'From: Ann <ann@sender.example>\r\nSubject: a\r\n\r\nText\r\n'

interface Given {
  readonly message?: string
  readonly reversePath?: string
  readonly zone?: Zone
  readonly options?: Partial<VerifierOptions>
}

async function verdictsOf({ message = MESSAGE, reversePath = '', zone = {}, options }: Given): Promise<Verdicts> {
  const verification = createVerifier({
    resolver: zoneResolver(zone),
    hostname: HOSTNAME,
    now: () => NOW_MS,
    failed(error) {
      throw error
    },
    ...options,
  }).begin(originOf(CLIENT, 'client.example', reversePath))
  verification.update(Buffer.from(message, 'latin1'))
  return verification.end()
}

const SPF = { 'sender.example': 'v=spf1 ip4:192.0.2.1 -all', 'bulk.example': 'v=spf1 ip4:192.0.2.1 -all' }
const DMARC = { '_dmarc.sender.example': 'v=DMARC1; p=reject; sp=quarantine' }
const KEYS = recordsOf('sender.example', 'bulk.example')

describe('DMARC and the proved sender', () => {
  const rows: readonly (readonly [
    title: string,
    given: () => Promise<Given> | Given,
    dmarc: object,
    sender: object | undefined,
  ])[] = [
    [
      'SPF of the domain of From proves it',
      () => ({ reversePath: 'ann@sender.example', zone: textZone({ ...SPF, ...DMARC }) }),
      { result: 'pass', domain: 'sender.example', aligned: ['spf'] },
      { domain: 'sender.example', by: 'dmarc' },
    ],
    [
      'a signature of the domain of From proves it',
      async () => ({ message: await signed(MESSAGE), zone: textZone({ ...KEYS, ...DMARC }) }),
      { result: 'pass', aligned: ['dkim'] },
      { domain: 'sender.example', by: 'dmarc' },
    ],
    [
      'a signature of another domain proves that domain, and not From',
      async () => ({
        message: await signed(MESSAGE, { domain: 'bulk.example' }),
        zone: textZone({ ...KEYS, ...DMARC }),
      }),
      { result: 'fail', policy: 'reject' },
      { domain: 'bulk.example', by: 'dkim' },
    ],
    [
      'without a policy, SPF proves the reverse-path',
      () => ({ reversePath: 'x@bulk.example', zone: textZone(SPF) }),
      { result: 'none', domain: 'sender.example' },
      { domain: 'bulk.example', by: 'spf' },
    ],
    [
      'a policy stands above the domain of From (RFC 9989 4.10)',
      () => ({ message: MESSAGE.replaceAll('sender', 'deep.sender'), zone: textZone(DMARC) }),
      { result: 'fail', policy: 'quarantine', domain: 'deep.sender.example', recordDomain: 'sender.example' },
      undefined,
    ],
    [
      'a domain that is only above it says with psd=y that it is no owner',
      () => ({
        zone: textZone({ '_dmarc.example': 'v=DMARC1; p=reject; psd=y', ...SPF }),
        reversePath: 'x@bulk.example',
      }),
      { result: 'fail', policy: 'reject' },
      { domain: 'bulk.example', by: 'spf' },
    ],
    [
      'the name of a greeting proves no sender',
      () => ({ zone: textZone({ 'client.example': 'v=spf1 ip4:192.0.2.1 -all' }) }),
      { result: 'none' },
      undefined,
    ],
    [
      'two From fields have no author',
      async () => ({
        message: `From: ceo@bank.example\r\n${await signed(MESSAGE)}`,
        zone: textZone({ ...KEYS, ...DMARC }),
      }),
      { result: 'permerror', reason: 'several-from' },
      { domain: 'sender.example', by: 'dkim' },
    ],
    [
      'a From that names two domains has no author',
      () => ({ message: MESSAGE.replace('>', '>, <x@other.example>') }),
      { result: 'permerror', reason: 'several-domains' },
      undefined,
    ],
    [
      'a From without an address has no author',
      () => ({ message: 'From: root\r\n\r\n' }),
      { reason: 'bad-from' },
      undefined,
    ],
    [
      'a message without From has no author',
      () => ({ message: 'X: y\r\n\r\n' }),
      { result: 'none', reason: 'no-from' },
      undefined,
    ],
    [
      'a line that is no field does not hide From',
      () => ({ message: `no field\r\n${MESSAGE}`, zone: textZone(DMARC) }),
      { result: 'fail', policy: 'reject' },
      undefined,
    ],
    [
      'a header of more than 256 KiB is not read',
      () => ({ message: `X: ${'y'.repeat(300_000)}\r\n${MESSAGE}` }),
      { result: 'permerror', reason: 'long-header' },
      undefined,
    ],
  ]
  test.each(rows)('%s', async (_, given, dmarc, sender) => {
    const verdicts = await verdictsOf(await given())
    expect(verdicts.dmarc).toMatchObject(dmarc)
    expect(verdicts.sender).toEqual(sender)
  })
})

test('the name and the address of a client confirm each other', async () => {
  const zone = { '1.2.0.192.in-addr.arpa': { PTR: ['client.example'] }, 'client.example': { A: [CLIENT] } }
  expect((await verdictsOf({ zone })).iprev).toEqual({ result: 'pass', address: CLIENT, name: 'client.example' })
  expect((await verdictsOf({})).iprev).toEqual({ result: 'permerror', address: CLIENT })
})

describe('DNS', () => {
  test('that never answers gives temporary errors after the deadline', async () => {
    const silent: Resolver = { resolve: () => new Promise(() => {}) }
    const verdicts = await verdictsOf({
      message: await signed(MESSAGE),
      reversePath: 'ann@sender.example',
      options: { resolver: silent, timeoutMs: 30 },
    })
    expect(verdicts).toMatchObject({
      iprev: { result: 'temperror' },
      spf: { result: 'temperror', identity: 'mailfrom' },
      dkim: [{ result: 'temperror', reason: 'dns' }],
      dmarc: { result: 'temperror', domain: 'sender.example' },
    })
    expect(verdicts.sender).toBeUndefined()
  })

  test('that fails gives temporary errors, and DMARC does not fail for them', async () => {
    const zone: Zone = {
      ...textZone(DMARC),
      'sender.example': { fails: 'servfail' },
      'e._domainkey.sender.example': { fails: 'timeout' },
    }
    const verdicts = await verdictsOf({ message: await signed(MESSAGE), reversePath: 'ann@sender.example', zone })
    expect([verdicts.spf?.result, verdicts.dkim?.[0]?.result, verdicts.dmarc?.result]).toEqual([
      'temperror',
      'temperror',
      'temperror',
    ])
  })

  test('of a sender that never answers does not hide that DMARC fails for another domain', async () => {
    const zone = zoneResolver(textZone(DMARC))
    const resolver: Resolver = {
      resolve: (name, type, options) =>
        name.endsWith('evil.example') ? new Promise(() => {}) : zone.resolve(name, type, options),
    }
    const verdicts = await verdictsOf({
      message: await signed(MESSAGE, { domain: 'evil.example' }),
      reversePath: 'x@evil.example',
      options: { resolver, timeoutMs: 30 },
    })
    expect([verdicts.spf?.result, verdicts.dkim?.[0]?.result]).toEqual(['temperror', 'temperror'])
    expect(verdicts.dmarc).toMatchObject({ result: 'fail', policy: 'reject' })
  })

  test('is asked only so often for one message, and for a key only once', async () => {
    const asked: string[] = []
    const zone = textZone({ ...KEYS, ...DMARC })
    const resolver = zoneResolver(zone, (name, type) => void asked.push(`${type} ${name}`))
    const one = await signed(MESSAGE)
    const message = one.slice(0, one.indexOf('From:')) + one
    const { dkim } = await verdictsOf({ message, options: { resolver } })
    expect(dkim?.map(({ result }) => result)).toEqual(['pass', 'pass'])
    expect(asked.filter((question) => question === 'TXT e._domainkey.sender.example')).toHaveLength(1)
    asked.length = 0
    const seals = Array.from({ length: 50 }, (_, at) => `DKIM-Signature: ${fieldOf(`d${at}.example`)}\r\n`).join('')
    await verdictsOf({ message: seals + MESSAGE, options: { resolver, maxLookups: 7 } })
    // DMARC has as many of its own.
    expect(asked.filter((question) => !question.includes('_dmarc'))).toHaveLength(7)
    expect(asked.length).toBeLessThanOrEqual(14)
  })
})

function fieldOf(domain: string): string {
  return `v=1; a=rsa-sha256; d=${domain}; s=s; h=from; bh=${'A'.repeat(43)}=; b=${'A'.repeat(340)}`
}

describe('Authentication-Results', () => {
  test('names each check, in ASCII and in short lines', async () => {
    const zone = textZone({ ...SPF, ...DMARC, ...KEYS })
    const verdicts = await verdictsOf({ message: await signed(MESSAGE), reversePath: 'ann@sender.example', zone })
    expect(resultsField(HOSTNAME, verdicts)).toBe(
      [
        'Authentication-Results: mx.receiver.example;',
        '\tiprev=permerror policy.iprev=192.0.2.1;',
        '\tspf=pass smtp.mailfrom=sender.example;',
        '\tdkim=pass header.d=sender.example header.s=e header.a=ed25519-sha256;',
        '\tdmarc=pass header.from=sender.example policy.dmarc=reject',
        '',
      ].join('\r\n'),
    )
    expect(resultsField(HOSTNAME, {})).toBe('Authentication-Results: mx.receiver.example;\r\n\tnone\r\n')
    expect(resultsField(HOSTNAME, { sender: { domain: 'a.example', by: 'auth' } })).toContain('\tauth=pass\r\n')
  })

  const FORGED = [
    'Authentication-Results: mx.receiver.example; dmarc=pass',
    'authentication-RESULTS : MX.Receiver.Example; dmarc=pass',
    'Authentication-Results:\r\n\t(a (nested) comment; x) mx.receiver.example 1;\r\n dmarc=pass\r\n\tmore',
    'Authentication-Results: "mx.receiver.example"; dmarc=pass',
    'Authentication-Results: "mx\\.receiver.example"; dmarc=pass',
    'Authentication-Results: mx.receiver.example',
    'Authentication-Results: mx.receiver.example.; dmarc=pass',
    'Authentication-Results: (unfinished mx.receiver.example; dmarc=pass',
    'Authentication-Results: mx.receiver.example(comment); dmarc=pass',
  ]
  const KEPT = [
    'Authentication-Results: mx.other.example; dmarc=pass',
    'Authentication-Results: other; x="mx.receiver.example"',
    'X-Authentication-Results: mx.receiver.example; dmarc=pass',
    'ARC-Authentication-Results: i=1; mx.receiver.example; dmarc=pass',
    'Authentication-Results-Extra: mx.receiver.example; dmarc=pass',
    'Subject: x\r\n Authentication-Results: mx.receiver.example; dmarc=pass',
    'Authentication-Results: mx.receiver.example.evil.example; dmarc=pass',
  ]

  test.each(['\r\n', '\n'])('of others that claim our name are removed anywhere (line end %j)', (end) => {
    const header = (lines: readonly string[]): Buffer =>
      Buffer.from([...lines, '', ''].join('\r\n').replaceAll('\r\n', end), 'latin1')
    for (const forged of FORGED) {
      for (const at of [0, 3, KEPT.length]) {
        const lines = [...KEPT.slice(0, at), forged, ...KEPT.slice(at)]
        const cleaned = withoutClaims(header(lines), HOSTNAME)
        expect([forged, Buffer.from(cleaned.header).toString('latin1')]).toEqual([
          forged,
          header(KEPT).toString('latin1'),
        ])
        expect(cleaned.removed).toBe(1)
      }
    }
    expect(withoutClaims(header(FORGED), HOSTNAME).removed).toBe(FORGED.length)
    expect(withoutClaims(header(KEPT), HOSTNAME).removed).toBe(0)
  })
})

test.each([
  [{ timeoutMs: 0 }, 'timeoutMs: 0 is not from 1 to 2147483647'],
  [{ trustedSealers: ['no domain'] }, 'trustedSealers: "no domain" is not a domain'],
])('an option that makes no sense is named: %j', (options, message) => {
  expect(() => createVerifier({ resolver: zoneResolver({}), hostname: HOSTNAME, ...options })).toThrow(message)
})
