/** The mailbox of an address, the name of a file, and the line ends in it, for any input. */
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { maildir, uniqueName } from '@postern/storage/maildir'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LineFeeds, withCrlf } from '../src/maildir/line-ends.ts'
import { isTemporaryOfOurs, parseFileName, uniquePartOf } from '../src/maildir/file-name.ts'
import { isMailbox, mailboxOf } from '../src/maildir/place.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { bytesOf, idAt, messageOf, SESSION, TRACE } from '../../../test/contracts/mail/messages.ts'

const parent = temporaryDirectory()
const HOST = 'mx1.example.net'

function place(localPart: string, domain = 'example.com'): string {
  return mailboxOf({ localPart, domain }, HOST)
}

describe('places', () => {
  test.each([
    ['ann', 'example.com', 'example.com/ann'],
    ['Ann', 'EXAMPLE.com', 'example.com/ann'],
    ['ann+shop', 'example.com', 'example.com/ann'],
    ['ann+shop+more', 'example.com', 'example.com/ann'],
    ['+', 'example.com', 'example.com/+'],
    ['+ann', 'example.com', 'example.com/+ann'],
    ['a.b_c-d=e', 'example.com', 'example.com/a.b_c-d=e'],
    ['Straße', 'example.com', 'example.com/stra%C3%9Fe'],
    ['ÄNN', 'example.com', 'example.com/%C3%84nn'],
    ['..', 'example.com', 'example.com/%2E.'],
    ['.', 'example.com', 'example.com/%2E'],
    ['.hidden', 'example.com', 'example.com/%2Ehidden'],
    ['-rf', 'example.com', 'example.com/%2Drf'],
    ['../../etc/passwd', 'example.com', 'example.com/%2E.%2F..%2Fetc%2Fpasswd'],
    ['a/b', 'example.com', 'example.com/a%2Fb'],
    ['a%2Fb', 'example.com', 'example.com/a%252fb'],
    ['b c', 'example.com', 'example.com/b%20c'],
    ['\0', 'example.com', 'example.com/%00'],
    ['', 'example.com', 'example.com/%-'],
    ['$(id)`*?~', 'example.com', 'example.com/%24%28id%29%60%2A%3F%7E'],
    ['Postmaster', '', 'mx1.example.net/postmaster'],
    ['ann', '.records', '%2Erecords/ann'],
    ['ann', 'münchen.example', 'xn--mnchen-3ya.example/ann'],
    ['ann', 'xn--mnchen-3ya.example', 'xn--mnchen-3ya.example/ann'],
    ['ann', '[X-tag:Some thing]', '%5Bx-tag%3Asome%20thing%5D/ann'],
  ])('%j at %j has the right mailbox', (localPart, domain, expected) => {
    expect(place(localPart, domain)).toBe(expected)
  })

  test('all spellings of an address literal lead to one mailbox', () => {
    const at = (family: 'ipv4' | 'ipv6', address: string): string =>
      mailboxOf({ localPart: 'ann', domain: `[${address}]`, literal: { family, address } }, HOST)
    for (const address of ['192.0.2.1', '192.000.002.001']) expect(at('ipv4', address)).toBe('%5B192.0.2.1%5D/ann')
    for (const address of ['2001:db8::1', '2001:DB8:0:0:0:0:0:1', '2001:db8::0.0.0.1']) {
      expect(at('ipv6', address)).toBe('%5Bipv6%3A2001%3Adb8%3A%3A1%5D/ann')
    }
  })

  const anything = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 400 }),
    fc.string({ unit: 'grapheme', maxLength: 400 }),
    fc.string({
      unit: fc.constantFrom('a', 'A', '/', '.', '%', '2', 'F', 'f', 'E', '-', '+', '\0', 'é', ' '),
      maxLength: 6,
    }),
    fc.constantFrom('.'.repeat(300), '/'.repeat(85), '/'.repeat(86), 'a'.repeat(255), 'a'.repeat(256), 'a'.repeat(257)),
  )

  test('the directory of an internationalized domain has A-labels, unless a label is too long', () => {
    const domainOf = (domain: string): string => place('ann', domain).split('/', 1)[0] as string
    expect(domainOf('bücher.example')).toBe('xn--bcher-kva.example')
    expect(domainOf('ｂücher.example')).toBe('xn--bcher-kva.example')
    expect(domainOf('ｅxample.com')).toBe('%EF%BD%85xample.com')
    expect(domainOf(`${'ü'.repeat(57)}.example`)).toMatch(/^xn--/)
    expect(domainOf(`${'ü'.repeat(248)}.example`)).toMatch(/^(?:%C3%BC)+(?:%C3)?%-[0-9a-f]{64}$/)
  })

  test('the mailbox of any address is two directories below the store, and neither is hidden', () => {
    fc.assert(
      fc.property(anything, anything, (localPart, domain) => {
        const path = place(localPart, domain)
        expect(isMailbox(path)).toBe(true)
        expect(relative('/var/mail/vhosts', join('/var/mail/vhosts', path))).toBe(path)
        const names = path.split('/')
        expect(names).toHaveLength(2)
        for (const name of names) {
          expect(name).toMatch(/^[!-,/-~][!-~]*$/)
          expect(name).not.toMatch(/^[.-]|\//)
          expect(name.length).toBeLessThanOrEqual(255)
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('two local parts share a mailbox only if they differ in ASCII case or in a tag alone', () => {
    const meaning = (localPart: string): string => {
      const lower = localPart.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
      return /^.[^+]*/su.exec(lower)?.[0] ?? ''
    }
    fc.assert(
      fc.property(anything, anything, (one, other) => {
        expect(place(one) === place(other)).toBe(meaning(one) === meaning(other))
      }),
      { numRuns: 1000 },
    )
    for (const pair of [
      ['a/b', 'a%2Fb'],
      ['', '%-'],
      ['/'.repeat(300), '/'.repeat(301)],
    ] as const) {
      expect(place(pair[0])).not.toBe(place(pair[1]))
    }
    // No other local part may have the name that a long name is cut to.
    const long = place('x'.repeat(300)).split('/')[1] ?? ''
    expect(place(long)).not.toBe(place('x'.repeat(300)))
  })

  test.each([
    '',
    'ann',
    '/ann',
    'example.com/',
    'a/b/c',
    '../x',
    'a/..',
    'a/.b',
    'A/b',
    'a/b c',
    'a/b\n',
    'a/%2f',
    `a/${'b'.repeat(256)}`,
  ])('%j is not a mailbox', (path) => {
    expect(isMailbox(path)).toBe(false)
  })

  test('mail for each hostile local part is found again in its own mailbox, and nothing is written outside the store', async () => {
    const directory = mkdtempSync(join(parent, 'store-'))
    const around = readdirSync(parent)
    const mail = maildir(directory, { hostname: HOST, create: 'any' })
    const hostile = [
      '.',
      '..',
      '../..',
      '../.records',
      '/etc/passwd',
      'a/b',
      '"',
      '\0',
      '\n',
      'new',
      'cur',
      'tmp',
      'ü',
      'x'.repeat(5000),
      '',
    ]
    const places = new Set<string>()
    for (const [index, localPart] of hostile.entries()) {
      const message = messageOf(idAt(Date.now(), index), [bytesOf(`${index}\r\n`)])
      const forwardPaths = [{ address: 'x', localPart, domain: '..', parameters: new Map<string, string>() }]
      const { id, maildir: at } = await mail.save(
        { ...message, envelope: { ...message.envelope, forwardPaths } },
        SESSION,
      )
      const [mailbox = ''] = at?.mailboxes ?? []
      places.add(mailbox)
      expect(readFileSync(join(directory, mailbox, 'new', at?.file ?? ''), 'utf8')).toMatch(new RegExp(`\n${index}\n$`))
      await (await mail.load(id)).verify()
    }
    expect(places.size).toBe(hostile.length)
    expect(readdirSync(parent)).toEqual(around)
    expect(readdirSync(directory).toSorted()).toEqual(['%2E.', '.postern', '.records', '.tmp'])
    expect(readdirSync(join(directory, '%2E.'))).toHaveLength(hostile.length)
  })
})

describe('names of files', () => {
  const id = '01KASJ3V5QCYF6Y3W9T2Z8N4RB'

  test('a file name has time, id and host, with forbidden characters in octal', () => {
    expect(uniqueName(id, 'mx1')).toMatch(new RegExp(`^\\d{10}\\.${id}\\.mx1$`))
    expect(uniqueName(id, 'a/b:c d,e\\f')).toMatch(/\.a\\057b\\072c\\040d\\054e\\134f$/)
    expect(`${uniqueName(id, '/'.repeat(300))},S=99999999999999,W=99999999999999:2,DFPRST`.length).toBeLessThan(255)
  })

  test('the store recognizes the names that it makes, for any host name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.nat(), (host, size) => {
        const unique = uniqueName(id, host)
        const name = `${unique},S=${size},W=${size + 1}`
        expect(name).toMatch(/^[!-~]+$/)
        expect(name).not.toMatch(/[/:]/)
        expect(parseFileName(name)).toEqual({ unique, size })
        expect(uniquePartOf(`${name}:2,S`)).toBe(unique)
        expect(uniquePartOf(`${unique}:2,`)).toBe(unique)
        expect(uniquePartOf(unique)).toBe(unique)
        expect(uniquePartOf(`${unique}/x,S=1`)).toBeUndefined()
        expect(isTemporaryOfOurs(`${unique}-0`)).toBe(true)
        expect(isTemporaryOfOurs(name)).toBe(false)
      }),
    )
  })
})

describe('line ends', () => {
  const text = fc
    .string({ unit: fc.constantFrom('\r\n', '\r\n', '\r', 'a', 'bc', '.'), maxLength: 40 })
    .map((whole) => whole.replaceAll(/\r+\r\n/g, '\r\n'))
  const any = fc.string({ unit: fc.constantFrom('\r\n', '\n', '\r', 'a'), maxLength: 40 })
  const cuts = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 30 })

  function pieces(whole: string, lengths: readonly number[]): Uint8Array[] {
    const chunks: Uint8Array[] = []
    let at = 0
    for (const length of lengths) {
      chunks.push(bytesOf(whole.slice(at, at + length)))
      at += length
    }
    return [...chunks, bytesOf(whole.slice(at))]
  }

  test('CRLF is stored as LF and read back as CRLF, wherever the chunks end', async () => {
    await fc.assert(
      fc.asyncProperty(text, cuts, cuts, async (whole, lengths, others) => {
        const lineFeeds = new LineFeeds()
        const converted = pieces(whole, lengths).map((chunk) => lineFeeds.convert(chunk))
        const stored = Buffer.concat([...converted.map((chunk) => chunk ?? Buffer.from('?')), lineFeeds.end()])
        expect(stored.toString('latin1')).toBe(whole.replaceAll('\r\n', '\n'))
        const back: Uint8Array[] = []
        const again = pieces(stored.toString('latin1'), others)
        for await (const chunk of withCrlf(ReadableStream.from(again))) back.push(chunk)
        expect(Buffer.concat(back).toString('latin1')).toBe(whole)
      }),
      { numRuns: 500 },
    )
  })

  test('any message is read back unchanged, and is stored with LF unless it has a bare LF or CR CR LF', async () => {
    const directory = mkdtempSync(join(parent, 'store-'))
    const mail = maildir(directory, { hostname: HOST, create: 'any' })
    const padding = fc.constantFrom('', '', '', 'x'.repeat(70_000), 'y\r\n'.repeat(50_000))
    let index = 0
    await fc.assert(
      fc.asyncProperty(fc.tuple(padding, any, padding, any), cuts, async (parts, lengths) => {
        const whole = parts.join('')
        const id = idAt(Date.now(), index++)
        const saved = await mail.save(
          messageOf(
            id,
            [
              ...pieces(
                whole,
                lengths.map((length) => length * 997),
              ),
            ].flatMap(inPieces),
          ),
          SESSION,
        )
        const expected = Buffer.concat([TRACE, Buffer.from(whole)]).toString('latin1')
        const bytes = Buffer.from(await (await mail.load(id)).bytes()).toString('latin1')
        expect(bytes.slice(bytes.indexOf('\r\n') + 2) === expected).toBe(true)
        const isAsItCame = /(?<!\r)\n|\r\r\n/.test(whole)
        expect(saved.maildir?.lineEnding).toBe(isAsItCame ? 'CRLF' : 'LF')
        const file = readFileSync(
          join(directory, saved.maildir?.mailboxes[0] ?? '', 'new', saved.maildir?.file ?? ''),
          'latin1',
        )
        expect(file === (isAsItCame ? bytes : bytes.replaceAll('\r\n', '\n'))).toBe(true)
        expect(parseFileName(saved.maildir?.file ?? '')?.size).toBe(file.length)
        await mail.delete(id)
      }),
      { numRuns: 25 },
    )
    expect(readdirSync(join(directory, '%5B192.0.2.1%5D/b%20c/tmp'))).toEqual([])
  })

  /** Only as long as the buffer of test messages. */
  test.each([['\r'], ['a\r'], ['a\r\n', '\r'], ['a\r', '\r'], ['\r', 'a']])(
    'a message with a bare CR or a CR at its end is read back unchanged: %j',
    async (...pieces) => {
      const mail = maildir(mkdtempSync(join(parent, 'store-')), { hostname: HOST, create: 'any' })
      const id = idAt(Date.now(), 0)
      await mail.save(messageOf(id, pieces.map(bytesOf)), SESSION)
      const bytes = Buffer.from(await (await mail.load(id)).bytes()).toString('latin1')
      expect(bytes.endsWith(`\r\n${pieces.join('')}`)).toBe(true)
    },
  )

  function inPieces(bytes: Uint8Array): Uint8Array[] {
    const chunks: Uint8Array[] = []
    for (let at = 0; at < bytes.length; at += 60_000) chunks.push(bytes.subarray(at, at + 60_000))
    return chunks
  }
})
