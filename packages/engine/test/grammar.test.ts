/** Paths, names and parameters: examples of the grammar, then properties over generated input. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeXtext } from '../src/protocol/extensions/parameters.ts'
import { ipv6Groups, isHelloName, parseAddressLiteral, parsePath } from '../src/protocol/grammar/path.ts'
import type { ParsedPath } from '../src/protocol/grammar/path.ts'
import { reply } from '../src/protocol/grammar/reply.ts'
import { decodeBase64, encodeBase64 } from '../src/protocol/bytes/base64.ts'
import { codes, octets, run } from './protocol.ts'

function path(text: string, lenient = false): ParsedPath['path'] | string | undefined {
  const parsed = parsePath(text, 0, lenient)
  if (typeof parsed === 'string' || parsed === undefined) return parsed
  expect(parsed.end).toBe(text.length)
  return parsed.path
}

describe('paths', () => {
  test.each([
    ['<>', { address: '', localPart: '', domain: '' }],
    ['<a@b>', { address: 'a@b', localPart: 'a', domain: 'b' }],
    ['<first.last+tag@sub.example.com>', { localPart: 'first.last+tag', domain: 'sub.example.com' }],
    ["<!#$%&'*+-/=?^_`{|}~@x.example>", { localPart: "!#$%&'*+-/=?^_`{|}~" }],
    ['<@one.example,@two.example:u@d.example>', { address: 'u@d.example' }],
    ['<"a b"@c.example>', { address: '"a b"@c.example', localPart: 'a b' }],
    ['<"a\\"\\\\b"@c.example>', { address: '"a\\"\\\\b"@c.example', localPart: 'a"\\b' }],
    ['<"a@b>c"@d.example>', { localPart: 'a@b>c', domain: 'd.example' }],
    ['<u@[192.0.2.1]>', { domain: '[192.0.2.1]', literal: { family: 'ipv4', address: '192.0.2.1' } }],
    ['<u@[IPv6:2001:db8::1]>', { literal: { family: 'ipv6', address: '2001:db8::1' } }],
    ['<u@[x-tag:any!thing]>', { literal: { family: 'general', tag: 'x-tag', address: 'any!thing' } }],
    ['<postmaster>', { address: 'postmaster', localPart: 'postmaster', domain: '' }],
    ['<δοκιμή@παράδειγμα.δοκιμή>', { localPart: 'δοκιμή', domain: 'παράδειγμα.δοκιμή' }],
    ['<u@under_score.example>', { domain: 'under_score.example' }],
  ])('%s is parsed to its parts', (text, expected) => {
    expect(path(text)).toMatchObject(expected)
  })

  test.each([
    '<',
    '<a@b',
    'a@b>',
    '<a b@c>',
    '<a@>',
    '<@b>',
    '<a@b@c>',
    '<.a@b>',
    '<a.@b>',
    '<a..b@c>',
    '<a@b..c>',
    '<a@.b>',
    '<a@b.>',
    '<a@-b>',
    '<a@b->',
    '<a@b-.example>',
    '<a@x.-b.example>',
    '<a@b.-.example>',
    '<@b-.example:a@c>',
    '<"a@b>',
    '<"a""b"@c>',
    '<a"b"@c>',
    '<u@[300.1.1.1]>',
    '<u@[1.2.3]>',
    '<u@[IPv6:zz::1]>',
    '<u@[IPv6:1::2::3]>',
    '<u@[]>',
    '<u@[no tag]>',
    '<@a:b>',
    '<@a,b:c@d>',
    '<a@b>\0'.slice(0, 3),
    '<\0@b>',
    '<a\x7f@b>',
    '<"a\nb"@c>',
    '<a@b\u0085>',
  ])('%j is refused', (text) => {
    const parsed = parsePath(text, 0, false)
    expect(parsed === undefined || parsed === 'no-brackets').toBe(true)
  })

  test.each(['a@b', '  a@b', ' "xy"@b'])('lenient accepts %j, strict refuses it because it has no brackets', (text) => {
    expect(path(text, true)).toMatchObject({ domain: 'b' })
    expect(parsePath(text, 0, false)).toBe('no-brackets')
  })

  test.each([' <a@b>', '   <a@b>', '\t<a@b>'])('%j: both modes handle blanks before the bracket', (text) => {
    expect(path(text)).toMatchObject({ address: 'a@b' })
    expect(path(text, true)).toMatchObject({ address: 'a@b' })
  })

  test.each([
    ['<a..b@c>', { address: 'a..b@c', localPart: 'a..b', domain: 'c' }],
    ['<ilo.@c>', { address: 'ilo.@c', localPart: 'ilo.' }],
    ['<.a@c>', { address: '.a@c', localPart: '.a' }],
    ['<a@c.example.>', { address: 'a@c.example.', domain: 'c.example' }],
    ['< a@c >', { address: 'a@c' }],
    ['< >', { address: '' }],
  ])('lenient accepts %s and keeps it as written, strict refuses it', (text, expected) => {
    expect(path(text, true)).toMatchObject(expected)
    expect(parsePath(text, 0, false)).toBeUndefined()
  })

  test.each([
    '<a b@c>',
    '<a@b@c>',
    '<<a@c>>',
    '<a@-c>',
    '<a@c..d>',
    '<a@c',
    '>',
    '<a,b@c>',
    '<a@c.>x@y>',
    '<"a@c>',
    '<a@.>',
  ])('lenient refuses %j, because another program could read it differently', (text) => {
    const parsed = parsePath(text, 0, true)
    expect(parsed === undefined || (typeof parsed === 'object' && parsed.end < text.length)).toBe(true)
  })

  const atom = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}$/)
  const label = fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9-]{0,10}[A-Za-z0-9])?$/)
  const domain = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
  const dotString = fc.array(atom, { minLength: 1, maxLength: 4 }).map((atoms) => atoms.join('.'))
  const content = fc.stringMatching(/^[\x20-\x7e]{0,20}$/)
  const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`

  test('a path that is generated from the grammar is parsed to its parts', () => {
    fc.assert(
      fc.property(
        fc.oneof(dotString, content.map(quote)),
        domain,
        fc.array(domain, { maxLength: 2 }),
        (local, at, route) => {
          const source = route.length === 0 ? '' : `${route.map((hop) => `@${hop}`).join(',')}:`
          expect(path(`<${source}${local}@${at}>`)).toMatchObject({ address: `${local}@${at}`, domain: at })
        },
      ),
    )
  })

  test('unquoting a quoted local part gives its content', () => {
    fc.assert(
      fc.property(content, (text) => {
        expect(path(`<${quote(text)}@d>`)).toMatchObject({ localPart: text })
      }),
    )
  })

  /** The same grammar as regular expressions: RFC 5321 4.1.2 with RFC 6531 3.3, and underscores. */
  const ATEXT = "A-Za-z0-9!#$%&'*+\\-/=?^_`{|}~\\u{a0}-\\u{10ffff}"
  const LABEL = '[A-Za-z0-9_\\u{a0}-\\u{10ffff}](?:[A-Za-z0-9_\\-\\u{a0}-\\u{10ffff}]*[A-Za-z0-9_\\u{a0}-\\u{10ffff}])?'
  const DOMAIN = `${LABEL}(?:\\.${LABEL})*`
  const LOCAL_PART = `[${ATEXT}]+(?:\\.[${ATEXT}]+)*`
  const QUOTED = '"(?:[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\u{a0}-\\u{10ffff}]|\\\\[\\x20-\\x7e])*"'
  const ROUTE = `@${DOMAIN}(?:,@${DOMAIN})*:`
  const MAILBOX = new RegExp(
    `^<(?:|(?:${LOCAL_PART}|${QUOTED})|(?:${ROUTE})?(?:${LOCAL_PART}|${QUOTED})@${DOMAIN})>$`,
    'u',
  )
  const HOST_NAME = new RegExp(`^${DOMAIN}$`, 'u')
  const piece = fc.constantFrom(
    'a',
    'b1',
    '-',
    '--',
    '_',
    '.',
    '..',
    '@',
    '"',
    '\\\\',
    ' ',
    '<',
    '>',
    ':',
    ',',
    '@x:',
    'é',
    '\u0085',
    '!',
    'c.d',
  )

  test('MAIL, RCPT and the hello name follow one grammar, the one of the patterns', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('')
        const parsed = parsePath(`<${text}>`, 0, false)
        const isWhole = typeof parsed === 'object' && parsed.end === text.length + 2
        expect(isWhole).toBe(MAILBOX.test(`<${text}>`))
        const isName = HOST_NAME.test(text)
        expect(isHelloName(text)).toBe(isName && /^[\x00-\x7f]*$/.test(text))
        const behindAt = parsePath(`<u@${text}>`, 0, false)
        expect(typeof behindAt === 'object' && behindAt.end === text.length + 4).toBe(isName)
      }),
      { numRuns: 5_000 },
    )
  })

  test('lenient parses each path that strict accepts to the same result', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const parsed = parsePath(`<${pieces.join('')}>`, 0, false)
        if (typeof parsed === 'object') expect(parsePath(`<${pieces.join('')}>`, 0, true)).toEqual(parsed)
      }),
      { numRuns: 2_000 },
    )
  })

  test('any text is parsed or refused, and a parsed path has no control character and no bracket outside quotes', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), fc.boolean(), (text, lenient) => {
        const parsed = parsePath(`<${text}>`, 0, lenient)
        if (parsed === undefined || parsed === 'no-brackets') return
        expect(parsed.path.address).not.toMatch(/[\x00-\x1f\x7f]/)
        expect(parsed.path.domain).not.toMatch(/[<>\s@]/)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('IPv6', () => {
  test.each([
    ['::', [0, 0, 0, 0, 0, 0, 0, 0]],
    ['::1', [0, 0, 0, 0, 0, 0, 0, 1]],
    ['2001:db8::', [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]],
    ['::ffff:192.0.2.1', [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x201]],
    ['1:2:3:4:5:6:7:8', [1, 2, 3, 4, 5, 6, 7, 8]],
    ['1:2:3:4:5:6:7::', [1, 2, 3, 4, 5, 6, 7, 0]],
  ])('%s is parsed', (text, groups) => expect(ipv6Groups(text)).toEqual(groups))

  test.each([
    '',
    ':',
    ':::',
    '1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    'g::',
    '1:2:3:4:5:6:7:8::',
    '::1.2.3',
    '192.0.2.1',
  ])('%j is not an IPv6 address', (text) => expect(ipv6Groups(text)).toBeUndefined())
})

test.each(['mx', 'mx.example.com', 'my_pc', 'a-b.c', '[192.0.2.1]', '[IPv6:::1]', 'xn--bcher-kva.example'])(
  '%s is a hello name',
  (name) => expect(isHelloName(name)).toBe(true),
)
test.each([
  '',
  '-a',
  'a-',
  'a-.b',
  'a.-b',
  'a..b',
  '.a',
  'a.',
  'a b',
  '<x>',
  '[300.0.0.1]',
  '[x]',
  'bücher.example',
  'a/b',
  'a\0',
])('%j is not a hello name', (name) => expect(isHelloName(name)).toBe(false))

test('an address literal without brackets is refused', () => {
  expect(parseAddressLiteral('192.0.2.1')).toBeUndefined()
})

describe('xtext', () => {
  test('text that is encoded as RFC 3461 says is decoded to the same text', () => {
    const encode = (text: string): string =>
      text.replace(
        /[^\x21-\x2a\x2c-\x3c\x3e-\x7e]/g,
        (c) => `+${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
      )
    fc.assert(
      fc.property(fc.stringMatching(/^[\x20-\x7e]{0,40}$/), (text) => {
        expect(decodeXtext(encode(text))).toBe(text)
      }),
    )
  })
  test.each(['+', '+0', '+GG', 'a=b', 'a b', '+0D+0A', '+00', '+7F', 'é'])('%s is refused', (text) =>
    expect(decodeXtext(text)).toBeUndefined(),
  )
})

describe('base64', () => {
  test('encoded octets are decoded to the same octets', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (given) => {
        const text = encodeBase64(given)
        expect(text).toBe(Buffer.from(given).toString('base64'))
        expect(decodeBase64(text)).toEqual(given)
      }),
    )
  })
  test.each(['a', 'ab', 'abc', 'ab==c', 'a b=', '====', 'YQ', 'YQ=', 'YQ==\n'])('%j is refused', (text) =>
    expect(decodeBase64(text)).toBeUndefined(),
  )
})

describe('parameters over the wire', () => {
  const mail = (parameters: string): string =>
    codes(run([octets(`EHLO c\r\nMAIL FROM:<a@b>${parameters}\r\n`)]).replies)[1] as string
  const rcpt = (parameters: string): string =>
    codes(run([octets(`EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>${parameters}\r\n`)]).replies)[2] as string

  test.each([
    ['', '250'],
    [' ', '250'],
    [' SIZE=1', '250'],
    [' size=26214400', '250'],
    [' SIZE=26214401', '552 5.3.4'],
    [' SIZE=x', '501 5.5.4'],
    [' SIZE', '501 5.5.4'],
    [' SIZE=1 SIZE=1', '501 5.5.4'],
    [' SIZE=-1', '501 5.5.4'],
    [' SIZE=99999999999999999999', '552 5.3.4'],
    [' SIZE=999999999999999999999', '501 5.5.4'],
    [' BODY=7BIT', '250'],
    [' BODY=8bitmime', '250'],
    [' BODY=BINARYMIME', '250'],
    [' BODY=9BIT', '501 5.5.4'],
    [' BODY', '501 5.5.4'],
    [' SMTPUTF8', '250'],
    [' SMTPUTF8=1', '501 5.5.4'],
    [' RET=FULL', '250'],
    [' RET=hdrs', '250'],
    [' RET=ALL', '501 5.5.4'],
    [' ENVID=a+20b', '250'],
    [' ENVID=a+3d+20b', '250'],
    [' ENVID=a+2', '250'],
    [' ENVID=a=b', '250'],
    [' ENVID=', '250'],
    [' ENVID', '250'],
    [` ENVID=${'x'.repeat(120)}`, '250'],
    [' ENVID=+0D', '501 5.5.4'],
    [' ENVID=+zz+0a', '501 5.5.4'],
    [' ENVID=a+7f', '501 5.5.4'],
    [' ENVID=a ENVID=a', '501 5.5.4'],
    [' AUTH=<>', '250'],
    [' AUTH=alice', '250'],
    [' AUTH=<alice>', '250'],
    [' AUTH=a+40b', '250'],
    [' AUTH=+XX', '250'],
    [' AUTH=a+00', '501 5.5.4'],
    [' NOTIFY=NEVER', '555 5.5.4'],
    [' BOGUS', '555 5.5.4'],
    [' X=Y', '555 5.5.4'],
    ['  SIZE=1', '501 5.5.4'],
    ['SIZE=1', '501 5.5.2'],
    [' =1', '501 5.5.4'],
    [' SIZE==1', '501 5.5.4'],
    [' SIZE=1\tRET=FULL', '501 5.5.4'],
  ])('MAIL%s: %s', (parameters, code) => expect(mail(parameters)).toMatch(code))

  test.each([
    ['', '250'],
    [' NOTIFY=NEVER', '250'],
    [' NOTIFY=success,DELAY,Failure', '250'],
    [' NOTIFY=NEVER,DELAY', '501 5.5.4'],
    [' NOTIFY=', '501 5.5.4'],
    [' NOTIFY=DELAY,DELAY', '501 5.5.4'],
    [' NOTIFY=SOON', '501 5.5.4'],
    [' ORCPT=rfc822;a+40b', '250'],
    [' ORCPT=rfc822;b+2btag@example.com', '250'],
    [' ORCPT=rfc822', '250'],
    [' ORCPT=;x', '250'],
    [' ORCPT=rfc822;+0', '250'],
    [' ORCPT=rfc822;a=b@c', '250'],
    [' ORCPT=rfc822;a+0Ab', '501 5.5.4'],
    [' ORCPT=utf-8;a\\x{0A}b', '501 5.5.4'],
    [' ORCPT=utf-8;a\\x{7f}b', '501 5.5.4'],
    [' ORCPT=utf-8;a\\x{85}b', '501 5.5.4'],
    [' SIZE=1', '555 5.5.4'],
  ])('RCPT%s: %s', (parameters, code) => expect(rcpt(parameters)).toMatch(code))

  test('each random line gets one reply', () => {
    const line = fc.oneof(
      fc.string({ maxLength: 80 }).map((text) => text.replace(/[\r\n\x16]/g, ' ')),
      fc.constantFrom(
        'EHLO c',
        'MAIL FROM:<a@b>',
        'RCPT TO:<a@b>',
        'RSET',
        'NOOP',
        'VRFY x',
        'HELP',
        'MAIL FROM:<a@b> SIZE=1 BODY=7BIT',
      ),
      fc
        .tuple(fc.constantFrom('MAIL FROM:', 'RCPT TO:', 'VRFY ', 'HELO '), fc.string({ maxLength: 40 }))
        .map(([a, b]) => a + b.replace(/[\r\n]/g, '')),
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        const sent = lines.filter((text) => !/^\s*(?:DATA|BDAT|AUTH|QUIT|STARTTLS)\b|HTTP\//i.test(text))
        const { replies } = run([octets(sent.map((text) => `${text}\r\n`).join(''))], { decide: () => undefined })
        expect(codes(replies)).toHaveLength(sent.length)
        expect(replies).toMatch(/^(?:\d{3}[ -][\x20-\x7e]*\r\n)*$/)
      }),
      { numRuns: 500 },
    )
  })
})

test('a reply has no control bytes, whatever text a hook returns', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(reply(550, '5.7.1', text).wire).toMatch(/^(?:550[ -]5\.7\.1 [\x20-\x7e]{0,490}\r\n)+$/)
    }),
  )
  expect(reply(550, '5.7.1', 'one\r\ntwo\nthree').lines).toEqual(['one', 'two', 'three'])
  expect(() => reply(650, '5.0.0', '')).toThrow(RangeError)
  expect(() => reply(250, '5.0.0', '')).toThrow(RangeError)
})
