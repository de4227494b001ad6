/** What a signature of DKIM has, and which messages get none. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createDkimSigner, withSignature } from '@postern/relay/signing'
import { pieces } from './job.ts'
import { type KeySet, keySet, RFC8463_ED25519, RFC8463_ED25519_PUBLIC } from './keys.ts'
import { ADDRESS, keys, NOW_MS, verified } from './messages.ts'

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
