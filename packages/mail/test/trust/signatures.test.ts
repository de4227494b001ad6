/** Signatures of others: those of RFC 8463, of dkimpy and of mailauth. None is valid after a change. */
import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sealMessage } from 'mailauth/lib/arc/index.js'
import { createVerifier, type DkimVerdict, type Verdicts } from '@postern/mail/trust'
import { testWith } from '../../../../test/kit/need.ts'
import { originOf } from './job.ts'
import { KEYS, NOW_MS, recordsOf, RFC8463, RFC8463_RECORDS, signed } from './signed.ts'
import { textZone, type Zone, zoneResolver } from './zone.ts'

const DKIMPY_DATA = '/usr/lib/python3/dist-packages/dkim/tests/data'
const DATA = { missing: existsSync(DKIMPY_DATA) ? undefined : 'python3-dkim has no test data here' }

const MESSAGE = 'From: Ann <ann@sender.example>\r\nSubject:  a\r\n\tfolded one\r\n\r\nText  of \r\n\r\nit\r\n\r\n\r\n'

async function verified(
  message: string | Buffer,
  zone: Zone,
  trustedSealers: readonly string[] = [],
): Promise<Verdicts> {
  const verifier = createVerifier({
    resolver: zoneResolver(zone),
    hostname: 'mx.receiver.example',
    now: () => NOW_MS,
    trustedSealers,
    failed(error) {
      throw error
    },
  })
  const verification = verifier.begin(originOf('192.0.2.1', 'a.example', ''))
  verification.update(typeof message === 'string' ? Buffer.from(message, 'latin1') : message)
  return verification.end()
}

/** Returns the result of each signature, with the reason if there is one. */
async function results(message: string | Buffer, records: Readonly<Record<string, string>>): Promise<string[]> {
  const { dkim = [] } = await verified(message, textZone(records))
  return dkim.map(({ result, reason }: DkimVerdict) => (reason === undefined ? result : `${result} ${reason}`))
}

test('both signatures of RFC 8463 are valid, and neither after a change of an octet', async () => {
  expect(await results(RFC8463, RFC8463_RECORDS)).toEqual(['pass', 'pass'])
  expect(await results(RFC8463.replace('hungry', 'Hungry'), RFC8463_RECORDS)).toEqual(['fail body', 'fail body'])
  expect(await results(RFC8463.replace('dinner', 'Dinner'), RFC8463_RECORDS)).toEqual(['fail header', 'fail header'])
})

testWith([DATA], 'the signed messages of dkimpy are valid, and not after a change', async () => {
  const read = (name: string): string => readFileSync(`${DKIMPY_DATA}/${name}`, 'latin1')
  for (const [name, count] of [
    ['rfc6376.signed.msg', 2],
    ['rfc6376.signed.rsa.msg', 1],
  ] as const) {
    const records = { ...RFC8463_RECORDS, 'test._domainkey.football.example.com': read('test.txt') }
    const message = read(name)
    expect(await results(message, records)).toEqual(Array(count).fill('pass'))
    expect(await results(message.replace('Joe.', 'Jim.'), records)).toEqual(Array(count).fill('fail body'))
  }
})

const word = fc.stringMatching(/^[a-zä \t]{0,12}$/)
const line = fc.tuple(word, fc.constantFrom('\r\n', '\r\n', ' \r\n', '\r\n\r\n'), word).map((parts) => parts.join(''))
const field = fc
  .tuple(fc.constantFrom('Subject', 'to', 'CC', 'Reply-To'), fc.array(word, { minLength: 1, maxLength: 3 }))
  .map(
    ([name, lines]) =>
      `${name}: ${lines
        .map((text) => text.trim())
        .filter((text) => text !== '')
        .join('\r\n ')}`,
  )

test('messages of any lines that mailauth signs in any form are valid, and not after a change of a letter', async () => {
  const forms = fc.constantFrom('relaxed/relaxed', 'simple/simple', 'relaxed/simple', 'simple/relaxed')
  const records = recordsOf('sender.example')
  await fc.assert(
    fc.asyncProperty(
      fc.array(field, { maxLength: 4 }),
      fc.array(line, { maxLength: 8 }),
      forms,
      fc.constantFrom('r' as const, 'e' as const),
      fc.nat(),
      async (fields, lines, form, selector, seed) => {
        const text = `${['From: ann@sender.example', ...fields].join('\r\n')}\r\n\r\n${lines.join('')}`
        const bytes = Buffer.from(await signed(Buffer.from(text).toString('latin1'), { form, selector }), 'latin1')
        expect(await results(bytes, records)).toEqual(['pass'])
        const bodyAt = bytes.indexOf('\r\n\r\n') + 4
        const letters = [...bytes.keys()].filter((at) => at >= bodyAt && bytes[at] === 0x61)
        const at = letters[seed % letters.length]
        if (at === undefined) return
        bytes[at] = 0x62
        expect(await results(bytes, records)).toEqual(['fail body'])
      },
    ),
    { numRuns: 60 },
  )
})

test('a signature is valid wherever the message is cut', async () => {
  for (const form of ['relaxed/relaxed', 'simple/simple']) {
    const bytes = Buffer.from(await signed(MESSAGE, { form }), 'latin1')
    for (let at = 1; at < bytes.length; at++) {
      const verification = createVerifier({
        resolver: zoneResolver(textZone(recordsOf('sender.example'))),
        hostname: 'mx.receiver.example',
        now: () => NOW_MS,
      }).begin(originOf('192.0.2.1', 'a.example', ''))
      verification.update(bytes.subarray(0, at))
      verification.update(bytes.subarray(at))
      expect([at, (await verification.end()).dkim?.[0]?.result]).toEqual([at, 'pass'])
    }
  }
})

describe('a signature is refused', () => {
  const records = recordsOf('sender.example')
  const key = KEYS.e.record
  const name = 'e._domainkey.sender.example'
  const rows: readonly (readonly [
    title: string,
    make: () => Promise<string>,
    records: Record<string, string>,
    wanted: string,
  ])[] = [
    ['without a key in DNS', () => signed(MESSAGE), {}, 'permerror no-key'],
    ['with a key that is revoked', () => signed(MESSAGE), { [name]: 'v=DKIM1; k=ed25519; p=' }, 'permerror revoked'],
    ['with a key of another type', () => signed(MESSAGE), { [name]: KEYS.r.record }, 'permerror key-type'],
    [
      'with another key',
      () => signed(MESSAGE),
      { [name]: RFC8463_RECORDS['brisbane._domainkey.football.example.com'] },
      'fail header',
    ],
    [
      'with a key that is for something else',
      () => signed(MESSAGE),
      { [name]: `${key}; s=tlsrpt` },
      'permerror key-service',
    ],
    ['with a key for another hash', () => signed(MESSAGE), { [name]: `${key}; h=sha1` }, 'permerror key-hash'],
    [
      'with a key that is no key',
      () => signed(MESSAGE),
      { [name]: 'v=DKIM1; k=ed25519; p=AAAA' },
      'permerror key-syntax',
    ],
    ['with an RSA key of 512 bits', () => signed(MESSAGE, { selector: 'weak' }), records, 'policy short-key'],
    [
      'that leaves octets of the body unsigned',
      () => signed(MESSAGE, { bodyOctets: 4 }),
      records,
      'policy partial-body',
    ],
    ['that has expired', () => signed(MESSAGE, { expires: new Date(NOW_MS - 60_000) }), records, 'policy expired'],
    [
      'with SHA-1',
      async () => (await signed(MESSAGE)).replace('a=ed25519-sha256', 'a=rsa-sha1'),
      records,
      'policy algorithm',
    ],
    ['without its version', async () => (await signed(MESSAGE)).replace('v=1;', ''), records, 'neutral version'],
    [
      'that has a tag twice',
      async () => (await signed(MESSAGE)).replace('v=1;', 'v=1; v=1;'),
      records,
      'neutral syntax',
    ],
    [
      'that does not sign From',
      async () => (await signed(MESSAGE)).replace(/(h=[^;]*)\bFrom\b/, '$1X-None'),
      records,
      'permerror no-from',
    ],
    [
      'that names somebody else',
      async () => (await signed(MESSAGE)).replace('v=1;', 'v=1; i=@other.example;'),
      records,
      'neutral identity',
    ],
  ]
  test.each(rows)('%s', async (_, make, zone, wanted) => {
    expect(await results(await make(), zone)).toEqual([wanted])
  })

  test('if it is the eleventh, and only ten keys are asked for', async () => {
    const one = await signed(MESSAGE)
    const field = one.slice(0, one.indexOf('From:'))
    const found = await results(field.repeat(30) + MESSAGE, records)
    expect(found).toEqual([...Array(10).fill('pass'), 'neutral many-signatures'])
  })
})

describe('ARC', () => {
  const seal = async (message: string, domain: string, chain: 'none' | 'pass', results: string): Promise<string> => {
    const { pem } = KEYS.r
    const sealing = {
      signingDomain: domain,
      selector: 'r',
      privateKey: pem,
      authResults: `mx.${domain}; ${results}`,
      cv: chain,
    }
    const given = chain === 'none' ? sealing : { ...sealing, i: 2 }
    const fields = await sealMessage(Buffer.from(message, 'latin1'), given as never)
    return Buffer.from(fields).toString('latin1') + message
  }
  const records = recordsOf('one.example', 'two.example')
  const RESULTS = 'dmarc=pass (p=reject) header.from=sender.example; spf=pass smtp.mailfrom=sender.example'

  test('a chain of mailauth is valid, and not after a change of the body or of a seal', async () => {
    const one = await seal(MESSAGE, 'one.example', 'none', RESULTS)
    const zone = textZone(records)
    expect((await verified(one, zone)).arc).toEqual({ result: 'pass', sets: 1, sealer: 'one.example' })
    expect((await verified(one.replace('Text', 'text'), zone)).arc?.reason).toBe('body')
    expect((await verified(one.replace('p=reject', 'p=none'), zone)).arc?.reason).toBe('header')
    expect((await verified(one.replace('cv=none', 'cv=pass'), zone)).arc?.reason).toBe('structure')
    expect((await verified(one.replace(/ARC-Seal/i, 'X-Seal'), zone)).arc?.reason).toBe('structure')
    expect((await verified(one, {})).arc).toMatchObject({ result: 'fail', reason: 'no-key' })
    expect((await verified(MESSAGE, zone)).arc).toEqual({ result: 'none', sets: 0 })
  })

  test('the word of a trusted sealer proves the sender, and that of another one does not', async () => {
    const zone = { ...textZone({ ...records, '_dmarc.sender.example': 'v=DMARC1; p=reject' }) }
    const one = await seal(MESSAGE, 'one.example', 'none', RESULTS)
    const proved = await verified(one, zone, ['one.example'])
    expect(proved.dmarc).toMatchObject({ result: 'fail', policy: 'reject' })
    expect(proved.sender).toEqual({ domain: 'sender.example', by: 'arc' })
    expect((await verified(one, zone, ['two.example'])).sender).toBeUndefined()
    const failed = await seal(MESSAGE, 'one.example', 'none', RESULTS.replace('dmarc=pass', 'dmarc=fail'))
    expect((await verified(failed, zone, ['one.example'])).sender).toBeUndefined()
    const other = await seal(MESSAGE, 'one.example', 'none', RESULTS.replace('from=sender', 'from=other'))
    expect((await verified(other, zone, ['one.example'])).sender).toBeUndefined()
  })
})
