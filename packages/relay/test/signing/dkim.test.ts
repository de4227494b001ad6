/** DKIM: the signatures are the same on each runtime, and other implementations verify them. */
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { Miniflare } from 'miniflare'
import { describe, expect, test } from 'vitest'
import { createDkimSigner, withSignature } from '@postern/relay/signing'
import { AWKWARD } from '../../../../test/corpus/messages.ts'
import { DEBIAN_PYTHON, DKIMPY, NAMESPACES, OPENDKIM } from '../../../../test/kit/abilities.ts'
import { COMMANDS } from '../../../../test/kit/commands.ts'
import { temporaryDirectory } from '../../../../test/kit/directory.ts'
import { testWith } from '../../../../test/kit/need.ts'
import { OwnResolver } from '../../../../test/kit/own-resolver.ts'
import { mustRun, runTool } from '../../../../test/kit/tool.ts'
import { bundle, COMPATIBILITY_DATE } from '../../../runtime/test/workerd/serving.ts'
import { type Job, pieces, run, type Signed } from './job.ts'
import { type KeySet, keySet, makeKeys, RFC8463_ED25519, RFC8463_ED25519_PUBLIC } from './keys.ts'

const NOW_MS = Date.UTC(2026, 11, 1)
/** dkimpy does not know the obsolete syntax of RFC 5322 4.5.3. */
const BLANK_BEFORE_COLON = 'a blank before a colon'
const ADDRESS = 'From: Ann <ann@sender.example>'

const MESSAGES: readonly (readonly [name: string, bytes: Buffer])[] = [
  ...AWKWARD.map(({ name, bytes }) => [name, bytes] as const),
  ['only LF', Buffer.from(`${ADDRESS}\nSubject: unix\n folded\n\nline \n\n\tmore\t\n\n\n`)],
  [
    'folded and blank fields',
    Buffer.from(`${ADDRESS}\r\nSubject:\t a \r\n\t b  \r\nTo: x@y.example\r\nCC:\r\n\r\nx\r\n`),
  ],
  [BLANK_BEFORE_COLON, Buffer.from(`${ADDRESS}\r\nTo : x@y.example\r\nSubject\t:x\r\n\r\nx\r\n`)],
  ['8-bit header', Buffer.from(`From: Änn <ann@sender.example>\r\nSubject: Grüße \xa0\r\n\r\nπ \u00a0\r\n`)],
  ['many of a kind', Buffer.from(`Resent-From: a@b.example\r\nResent-From: c@d.example\r\n${ADDRESS}\r\n\r\n`)],
  ['a blank in front of the body', Buffer.from(`${ADDRESS}\r\n\r\n  \r\n \r\nlast \r`)],
]

const keys: Promise<KeySet> = makeKeys('sender.example')

async function jobOf(chunk: number): Promise<Job> {
  const { given } = await keys
  return { nowMs: NOW_MS, keys: given, messages: MESSAGES.map(([, bytes]) => bytes.toString('base64')), chunk }
}

/** Puts the fields on top, and ends the lines of the message as they are sent. */
function signedBytes({ fields }: { readonly fields: string }, message: Uint8Array): Buffer {
  const text = Buffer.from(message).toString('latin1')
  return Buffer.from(fields + text.replaceAll(/\r?\n/g, '\r\n'), 'latin1')
}

/** Returns the signed messages by their names. */
async function signedMessages(): Promise<(readonly [name: string, bytes: Buffer])[]> {
  const results = await run(await jobOf(7))
  return MESSAGES.flatMap(([name, bytes], at) => {
    const result = results[at] as Signed
    return 'fields' in result ? [[name, signedBytes(result, bytes)] as const] : []
  })
}

/** Verifies by mailauth. @returns the result of each signature */
async function verified(bytes: Buffer, { records }: KeySet): Promise<string[]> {
  const resolver = async (name: string): Promise<string[][]> => {
    const record = records[name]
    if (record === undefined) throw Object.assign(new Error(name), { code: 'ENOTFOUND' })
    return [[record]]
  }
  const { results } = await dkimVerify(bytes, { resolver, strict: true })
  return results.map(({ status }) => status.result)
}

describe('the runtimes', () => {
  const wanted = async (): Promise<readonly Signed[]> => run(await jobOf(65_536))

  test.for(['node', 'deno', 'bun'] as const)('%s makes the same signatures', async (runtime) => {
    const file = join(temporaryDirectory(), 'job.json')
    writeFileSync(file, JSON.stringify(await jobOf(100)))
    const [program, ...args] = COMMANDS[runtime]
    const { stdout } = await mustRun(program, [...args, resolve(import.meta.dirname, 'program.ts'), file])
    expect(JSON.parse(stdout.toString())).toEqual(await wanted())
  })

  test('workerd makes the same signatures', async () => {
    const contents = await bundle(resolve(import.meta.dirname, 'worker.ts'))
    const miniflare = new Miniflare({
      workers: [
        {
          config: {
            name: 'signer',
            compatibilityDate: COMPATIBILITY_DATE,
            compatibilityFlags: ['nodejs_compat'],
            manifest: {
              mainModule: 'worker.js',
              modulesRoot: '/',
              modules: { 'worker.js': { type: 'esm', contents } },
            },
          },
        },
      ],
    })
    try {
      const body = JSON.stringify(await jobOf(100))
      const answer = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body })
      expect(await answer.json()).toEqual(await wanted())
    } finally {
      await miniflare.dispose()
    }
  })

  test.for(['node', 'deno', 'bun'] as const)(
    '%s needs no more memory for a large message, of lines or of one line',
    async (runtime) => {
      const [program, ...args] = COMMANDS[runtime]
      for (const line of ['a line of text  \r\n', 'x', '\n']) {
        const { stdout } = await mustRun(program, [
          ...args,
          resolve(import.meta.dirname, 'program.ts'),
          'memory',
          '80',
          line,
        ])
        expect(Number(stdout.toString())).toBeLessThan(40 * 1024 * 1024)
      }
    },
  )
})

test('the same signatures are made wherever the message is cut', async () => {
  const whole = await run(await jobOf(1_000_000))
  for (const chunk of [1, 2, 3, 64]) expect(await run(await jobOf(chunk))).toEqual(whole)
})

test('most awkward messages are signed, and those without a From are not', async () => {
  const results = await run(await jobOf(7))
  const unsigned = MESSAGES.flatMap(([name], at) => {
    const result = results[at] as Signed
    return 'reason' in result ? [`${name}: ${result.reason}`] : []
  })
  expect(unsigned).toEqual([
    'a dot first of all: malformed-header',
    'a dot alone: malformed-header',
    'only dots: malformed-header',
    'a line of dots: malformed-header',
    'wholly empty: no-from',
    'one CRLF: no-from',
    'only CRLFs: no-from',
    'blanks and tabs at line ends: malformed-header',
    'one octet: malformed-header',
  ])
})

testWith([DKIMPY], 'dkimpy verifies each signature, and none of a changed message', async () => {
  const { records } = await keys
  const signed = (await signedMessages()).filter(([name]) => name !== BLANK_BEFORE_COLON)
  const changed = signed.map(([, bytes]) =>
    Buffer.from(bytes.toString('latin1').replace('@sender', '@fender'), 'latin1'),
  )
  const messages = [...signed.map(([, bytes]) => bytes), ...changed].map((bytes) => bytes.toString('base64'))
  const { stdout } = await mustRun(DEBIAN_PYTHON, [join(import.meta.dirname, 'verify.py')], {
    input: JSON.stringify({ records, messages, signatures: 2 }),
  })
  const results = JSON.parse(stdout.toString()) as string[][]
  expect(signed.map(([name], at) => [name, results[at]])).toEqual(signed.map(([name]) => [name, ['pass', 'pass']]))
  for (const result of results.slice(signed.length)) expect(result).toEqual(['fail', 'fail'])
})

testWith([OPENDKIM, NAMESPACES], 'opendkim verifies each signature, and none of a changed message', async () => {
  const { records } = await keys
  await using resolver = await OwnResolver.start(records)
  const verify = async (bytes: Buffer): Promise<number> =>
    (await resolver.run('opendkim-testmsg', ['-C'], { input: bytes })).code
  // It wants a Date, and reads a bare CR as a line end.
  for (const [name, bytes] of await signedMessages()) {
    const text = bytes.toString('latin1')
    if (!text.includes('\r\nDate:') || /\r(?!\n)/.test(text)) continue
    const second = text.indexOf('DKIM-Signature:', 1)
    const below = text.indexOf('\r\nFrom:') + 2
    for (const field of [text.slice(0, second), text.slice(second, below)]) {
      const alone = field + text.slice(below)
      expect([name, await verify(Buffer.from(alone, 'latin1'))]).toEqual([name, 0])
      const changed = alone.replace('\r\nSubject: awk', '\r\nSubject: ark')
      expect([name, await verify(Buffer.from(changed, 'latin1'))]).not.toEqual([name, 0])
    }
  }
})

testWith([OPENDKIM, NAMESPACES], 'opendkim finds that an RSA key fits its record, and no other', async () => {
  const { given, records } = await keys
  const others = (await makeKeys('other.example')).records
  const ofOther = Object.fromEntries(
    Object.entries(others).map(([name, text]) => [name.replace('other', 'sender'), text]),
  )
  const directory = temporaryDirectory()
  const [file, config] = ['key.pem', 'opendkim.conf'].map((name) => join(directory, name)) as [string, string]
  for (const [zone, code] of [
    [records, 0],
    [ofOther, 65],
  ] as const) {
    await using resolver = await OwnResolver.start(zone)
    // Its resolver is libunbound, which does not read resolv.conf.
    writeFileSync(config, `Nameservers ${resolver.host}\n`)
    // It knows no Ed25519.
    const { pem, domain, selector } = given[0] as (typeof given)[number]
    writeFileSync(file, pem, { mode: 0o600 })
    const args = ['-x', config, '-d', domain, '-s', selector, '-k', file]
    const tested = await runTool('opendkim-testkey', args)
    expect([selector, tested.code]).toEqual(['r', code])
  }
})

test('mailauth verifies each signature', async () => {
  for (const [name, bytes] of await signedMessages()) {
    expect([name, ...(await verified(bytes, await keys))]).toEqual([name, 'pass', 'pass'])
  }
})

const word = fc.stringMatching(/^[a-zä \t]{0,12}$/)
const line = fc.tuple(word, fc.constantFrom('\r\n', '\r\n', '\n', '\r', ' \r\n'), word).map((parts) => parts.join(''))

test('mailauth verifies a message of any lines, and no longer after one of its letters has changed', async () => {
  const signer = createDkimSigner({ keys: (await keys).keys })
  const value = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => words.join('\r\n '))
  const field = fc
    .tuple(fc.constantFrom('Subject', 'to', 'CC', 'Received', 'X-Other'), value)
    .map(([name, text]) => `${name}: ${text}`)
  await fc.assert(
    fc.asyncProperty(
      fc.array(field, { maxLength: 6 }),
      fc.array(line, { maxLength: 12 }),
      fc.nat(),
      async (fields, lines, seed) => {
        const message = Buffer.from(`${[ADDRESS, ...fields].join('\r\n')}\r\n\r\n${lines.join('')}`)
        const signature = await signer.sign([message], NOW_MS)
        const bytes = signedBytes({ fields: Buffer.from(signature.fields).toString('latin1') }, message)
        expect(await verified(bytes, await keys)).toEqual(['pass', 'pass'])
        const bodyAt = bytes.indexOf('\r\n\r\n') + 4
        const letters = [...bytes.keys()].filter((at) => at >= bodyAt && bytes[at] === 0x61)
        const at = letters[seed % letters.length]
        if (at === undefined) return
        bytes[at] = 0x62
        expect(await verified(bytes, await keys)).toEqual(['fail', 'fail'])
      },
    ),
    { numRuns: 60 },
  )
})

describe('a signature', () => {
  const signWith = async (message: string, set: KeySet): Promise<string> => {
    const chunks: Uint8Array[] = []
    const open = (): AsyncIterable<Uint8Array> => pieces(Buffer.from(message), 10)
    for await (const chunk of withSignature(open, createDkimSigner(set), NOW_MS)) chunks.push(chunk.slice())
    return Buffer.concat(chunks).toString()
  }

  test('stands on top of the message, which is unchanged', async () => {
    const message = `${ADDRESS}\nSubject: x\r\n\r\nbody\n`
    const whole = await signWith(message, await keys)
    expect(whole).toMatch(/^DKIM-Signature: v=1; a=rsa-sha256; c=relaxed\/relaxed; d=sender\.example; s=r;\r\n/)
    expect(whole.endsWith(message)).toBe(true)
    expect(whole.match(/^DKIM-Signature:/gm)).toHaveLength(2)
    for (const row of whole.slice(0, -message.length).split('\r\n')) expect(row.length).toBeLessThanOrEqual(78)
  })

  test.for(['From: eve@other.example', 'Subject: two', 'Reply-To: eve@other.example', 'To: x@y.example', 'Date: now'])(
    'fails once somebody adds %j',
    async (added) => {
      const message = `${ADDRESS}\r\nSubject: one\r\nDate: then\r\n\r\nbody\r\n`
      const whole = await signWith(message, await keys)
      expect(await verified(Buffer.from(`Received: on its way\r\n${whole}`), await keys)).toEqual(['pass', 'pass'])
      expect(await verified(Buffer.from(`${added}\r\n${whole}`), await keys)).toEqual(['fail', 'fail'])
    },
  )

  test('is made with the key of RFC 8463, whose record is the one of the RFC', async () => {
    const set = keySet([{ pem: RFC8463_ED25519, domain: 'football.example.com', selector: 'brisbane' }])
    expect(set.records).toEqual({
      'brisbane._domainkey.football.example.com': `v=DKIM1; k=ed25519; p=${RFC8463_ED25519_PUBLIC}`,
    })
    const message = [
      'From: Joe SixPack <joe@football.example.com>',
      'To: Suzie Q <suzie@shopping.example.net>',
      'Subject: Is dinner ready?',
      'Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)',
      'Message-ID: <20030712040037.46341.5F8J@football.example.com>',
      '',
      'Hi.',
      '',
      'We lost the game.  Are you hungry yet?',
      '',
      'Joe.',
      '',
    ].join('\r\n')
    const whole = await signWith(message, set)
    expect(whole).toContain('bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;')
    expect(await verified(Buffer.from(whole), set)).toEqual(['pass'])
  })

  test('leaves a message alone that no key fits, and reads no more than its header', async () => {
    const message = 'From: ann@elsewhere.example\r\n\r\nbody\r\n'
    expect(await signWith(message, await keys)).toBe(message)
    let count = 0
    const endless = function* (): Generator<Uint8Array> {
      for (;;) {
        if (++count > 10) throw new Error('it reads on')
        yield Buffer.from(message)
      }
    }
    const signature = await createDkimSigner(await keys).sign(endless(), NOW_MS)
    expect(signature).toMatchObject({ isSigned: false, reason: 'no-key' })
    expect(count).toBe(1)
  })
})

test.for([
  ['no From', 'Subject: x\r\n\r\n', 'no-from'],
  ['two fields From', `${ADDRESS}\r\n${ADDRESS}\r\n\r\n`, 'several-from'],
  ['a From behind a bare LF', `Subject: x\nFrom: a@b.example\r\n${ADDRESS}\r\n\r\n`, 'several-from'],
  ['a From without an address', 'From: Ann\r\n\r\n', 'bad-from'],
  ['a header of more than 256 KiB', `${ADDRESS}\r\nX: ${'x'.repeat(262_144)}\r\n\r\n`, 'long-header'],
  ['a header without end', `${ADDRESS}\r\n${'X: y\r\n'.repeat(60_000)}`, 'long-header'],
  ['a line that is no field', `${ADDRESS}\r\nno field\r\n\r\n`, 'malformed-header'],
  ['more than 200 signed fields', `${ADDRESS}\r\n${'Resent-To: a@b.example\r\n'.repeat(201)}\r\n`, 'many-fields'],
])('a message with %s is not signed', async ([, message, reason]) => {
  const signature = await createDkimSigner(await keys).sign([Buffer.from(message as string)], NOW_MS)
  expect(signature).toMatchObject({ isSigned: false, reason })
})

test('the hash of a body is the one of a slow model, for long lines and lines that need a change, wherever they are cut', async () => {
  const part = fc.oneof(
    fc.constantFrom('\r\n', '\n', '\r', ' ', '  ', '\t', 'x', '\r\n\r\n', ' \r\n', '\u0000'),
    fc.integer({ min: 50, max: 20_000 }).map((length) => 'a line of text\r\n'.repeat(length / 16)),
    fc.integer({ min: 50, max: 200 }).map((length) => 'x'.repeat(length)),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 20 }), fc.integer({ min: 1, max: 40_000 }), async (parts, size) => {
      const body = parts.join('')
      const signature = await createDkimSigner(await keys).sign(
        pieces(Buffer.from(`${ADDRESS}\r\n\r\n${body}`), size),
        NOW_MS,
      )
      // RFC 6376 3.4.4, as it is written there.
      const lines = body
        .replaceAll(/\r?\n/g, '\n')
        .split('\n')
        .map((line) => line.replaceAll(/[ \t]+/g, ' ').replace(/ $/, ''))
      const text = lines.join('\r\n').replace(/(?:\r\n)*$/, '')
      const hash = createHash('sha256')
        .update(text === '' ? '' : `${text}\r\n`)
        .digest('base64')
      expect(Buffer.from(signature.fields).toString()).toContain(`bh=${hash};`)
    }),
  )
})

test('any octets at all are signed or refused, and what is put on top is only signatures', async () => {
  const piece = fc.constantFrom(
    '\r\n',
    '\n',
    '\r',
    ' ',
    ':',
    'From:',
    'from: a@sender.example',
    '<',
    '"',
    '(',
    '@',
    'DKIM-Signature:',
    'b=',
    '\0',
    'ü',
    'x',
  )
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    fc.array(piece, { maxLength: 30 }).map((pieces) => Buffer.from(pieces.join(''))),
  )
  const signer = createDkimSigner(await keys)
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('', `${ADDRESS}\r\n`),
      octets,
      fc.integer({ min: 1, max: 20 }),
      async (first, rest, size) => {
        const message = Buffer.concat([Buffer.from(first), rest])
        const { isSigned, fields } = await signer.sign(pieces(message, size), NOW_MS)
        const heads = Buffer.from(fields)
          .toString('latin1')
          .split('\r\n')
          .filter((line) => !line.startsWith('\t'))
        const wanted = isSigned ? [1, 2].map(() => expect.stringMatching(/^DKIM-Signature: v=1; [\x20-\x7e]+$/)) : []
        expect(heads).toEqual([...wanted, ''])
      },
    ),
    { numRuns: 500 },
  )
})

describe('the keys', () => {
  const selectors = async (from: string, set: KeySet, nowMs: number = NOW_MS): Promise<string> => {
    const signature = await createDkimSigner(set).sign([Buffer.from(`From: ${from}\r\n\r\n`)], nowMs)
    return signature.isSigned
      ? signature.keys.map(({ domain, selector }) => `${selector}@${domain}`).join(' ')
      : signature.reason
  }

  test.for([
    ['ann@example.com', 'r@example.com e@example.com'],
    ['"a@evil.example" (x@y.example) <Ann@EXAMPLE.com> (z)', 'r@example.com e@example.com'],
    ['Group: <a@example.com>, b@sub.example.com;', 'r@example.com e@example.com'],
    ['<@route.example:ann@example.com>', 'r@example.com e@example.com'],
    ['ann@deep.sub.example.com', 'r@sub.example.com e@sub.example.com'],
    ['ann@notexample.com', 'no-key'],
    ['ann@com', 'no-key'],
    ['ann@example.com, eve@evil.example', 'no-key'],
    ['ann@bücher.example', 'r@xn--bcher-kva.example e@xn--bcher-kva.example'],
    ['<ann@example.com> <eve@evil.example>', 'bad-from'],
    ['<ann@example.com', 'bad-from'],
    ['"ann@example.com', 'bad-from'],
    ['ann@[192.0.2.1]', 'bad-from'],
    [`${'a@example.com,'.repeat(51)}`, 'bad-from'],
  ])('that sign for an address: %#', async ([from, wanted]) => {
    const set = await makeKeys('example.com', 'sub.example.com', 'xn--bcher-kva.example')
    expect(await selectors(from as string, set)).toBe(wanted)
  })

  test('take turns: of those that have begun and not ended, the one that began last signs', async () => {
    const day = (number: number): Date => new Date(Date.UTC(2026, 11, number))
    const common = { pem: RFC8463_ED25519, domain: 'example.com' }
    const set = keySet([
      { ...common, selector: 'new', signsFrom: day(10) },
      { ...common, selector: 'old' },
      { ...common, selector: 'short', signsFrom: day(20), signsUntil: day(21) },
    ])
    const turns = await Promise.all(
      [9, 10, 20, 21].map((number) => selectors('a@example.com', set, day(number).getTime())),
    )
    expect(turns).toEqual(['old@example.com', 'new@example.com', 'short@example.com', 'new@example.com'])
  })

  test.for([
    ['a text', 'nothing', 'it has no private key that can be read'],
    ['an Ed448 key', undefined, 'it is a key of type ed448, not rsa or ed25519'],
  ])('are refused if they are %s', async ([, pem, message]) => {
    const { generateKeyPairSync } = await import('node:crypto')
    const other = generateKeyPairSync('ed448').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    expect(() => keySet([{ pem: pem ?? other, domain: 'a.example', selector: 's' }])).toThrow(message as string)
  })

  test('are refused if an RSA key is too short for RFC 8301', async () => {
    const { generateKeyPairSync } = await import('node:crypto')
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 768 })
    const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
    const given = [{ pem, domain: 'a.example', selector: 's' }]
    expect(() => keySet(given)).toThrow('its RSA key has 768 bits, fewer than 1024 (RFC 8301)')
  })
})
