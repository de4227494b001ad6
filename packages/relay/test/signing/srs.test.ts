/** Senders of forwarded mail: their addresses lead back, and nobody else can make one. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSrs, type Srs } from '@postern/relay/signing'

const DAY_MS = 86_400_000
const NOW_MS = Date.UTC(2026, 11, 1)
const SECRET = 'a secret of this test'
const srs: Srs = createSrs({ domain: 'fwd.example', secrets: [SECRET] })

describe('an ordinary address', () => {
  test('is rewritten into our domain', () => {
    expect(srs.forward('jane@example.org', NOW_MS)).toMatch(
      /^SRS0=[A-Z2-7]{6}=[A-Z2-7]{2}=example\.org=jane@fwd\.example$/,
    )
  })

  test.for(['', 'jane@fwd.example', 'jane@FWD.example', 'postmaster'])('stays as it is if it is %j', (address) => {
    expect(srs.forward(address, NOW_MS)).toBe(address)
    expect(srs.reverse(address, NOW_MS)).toEqual({ status: 'not-srs' })
  })

  test('of any letters comes back, also after an MTA has changed the letter case', () => {
    const local = fc.stringMatching(/^[A-Za-z0-9=+"\\ @.-]{1,30}$/)
    fc.assert(
      fc.property(local, fc.constantFrom('example.org', 'Sub.Example.ORG', 'bücher.example'), (text, domain) => {
        const isPlain = /^[A-Za-z0-9=+-]+(?:\.[A-Za-z0-9=+-]+)*$/.test(text) && !/^SRS[01][=+-]/i.test(text)
        const address = `${isPlain ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`}@${domain}`
        if (!isPlain && /^SRS[01][=+-]/i.test(text)) return
        const rewritten = srs.forward(address, NOW_MS)
        expect(srs.reverse(rewritten, NOW_MS)).toEqual({ status: 'reversed', address })
        const lower = srs.reverse(rewritten.toLowerCase(), NOW_MS)
        expect(lower).toEqual({ status: 'reversed', address: address.toLowerCase() })
      }),
    )
  })
})

describe('a chain of forwarders', () => {
  const forwarders = ['one', 'two', 'three'].map((name) =>
    createSrs({ domain: `${name}.example`, secrets: [`the secret of ${name}`] }),
  )
  const [one, two, three] = forwarders as [Srs, Srs, Srs]

  test('is as long as two of them, and its bounce goes to the first', () => {
    const first = one.forward('jane@example.org', NOW_MS)
    const second = two.forward(first, NOW_MS)
    const third = three.forward(second, NOW_MS)
    expect(second).toMatch(/^SRS1=[A-Z2-7]{6}=one\.example==[A-Z2-7]{6}=[A-Z2-7]{2}=example\.org=jane@two\.example$/)
    expect(third).toMatch(/^SRS1=[A-Z2-7]{6}=one\.example==/)
    expect(third.endsWith('@three.example')).toBe(true)
    expect(two.reverse(second, NOW_MS)).toEqual({ status: 'reversed', address: first })
    expect(three.reverse(third, NOW_MS)).toEqual({ status: 'reversed', address: first })
    expect(one.reverse(first, NOW_MS)).toEqual({ status: 'reversed', address: 'jane@example.org' })
  })

  test.for(['+', '-'])('keeps the separator %s of another program', (separator) => {
    const first = `SRS0${separator}abcd=XY=example.org=jane@other.example`
    expect(two.reverse(two.forward(first, NOW_MS), NOW_MS)).toEqual({ status: 'reversed', address: first })
  })
})

describe('reverse refuses', () => {
  const rewritten = srs.forward('jane@example.org', NOW_MS)

  test('an address with any other character in it', () => {
    const local = rewritten.slice(0, rewritten.indexOf('@'))
    for (let at = 5; at < local.length; at++) {
      const changed = `${local.slice(0, at)}${local[at] === 'q' ? 'r' : 'q'}${local.slice(at + 1)}@fwd.example`
      expect(srs.reverse(changed, NOW_MS)).toEqual({ status: 'forged' })
    }
  })

  test.for([
    'SRS0=@fwd.example',
    'SRS0===@fwd.example',
    'SRS0=AAAAAA=AA=example.org=jane@fwd.example',
    'SRS1=AAAAAA=one.example==x@fwd.example',
    'SRS1=@fwd.example',
  ])('%s as forged', (address) => {
    expect(srs.reverse(address, NOW_MS)).toEqual({ status: 'forged' })
  })

  test('parts that were moved into another field', () => {
    const other = createSrs({ domain: 'fwd.example', secrets: [SECRET] }).forward('ne@example.org=ja', NOW_MS)
    expect(other).not.toBe(rewritten)
    const moved = rewritten.replace('=example.org=jane', '=example.org=ja=ne')
    expect(srs.reverse(moved, NOW_MS)).toEqual({ status: 'forged' })
  })

  test('an address that is older than 21 days, and none that is younger', () => {
    for (const days of [-1, 0, 1, 21]) {
      expect(srs.reverse(rewritten, NOW_MS + days * DAY_MS)).toEqual({
        status: 'reversed',
        address: 'jane@example.org',
      })
    }
    for (const days of [22, 400, 1000])
      expect(srs.reverse(rewritten, NOW_MS + days * DAY_MS)).toEqual({ status: 'old' })
  })

  test('an address of another domain', () => {
    expect(srs.reverse(rewritten.replace('fwd', 'other'), NOW_MS)).toEqual({ status: 'not-srs' })
  })
})

test('a replaced secret is accepted as long as it is listed', () => {
  const rewritten = srs.forward('jane@example.org', NOW_MS)
  const both = createSrs({ domain: 'fwd.example', secrets: ['the secret from now on', SECRET] })
  expect(both.reverse(rewritten, NOW_MS)).toEqual({ status: 'reversed', address: 'jane@example.org' })
  expect(both.forward('jane@example.org', NOW_MS)).not.toBe(rewritten)
  const after = createSrs({ domain: 'fwd.example', secrets: ['the secret from now on'] })
  expect(after.reverse(rewritten, NOW_MS)).toEqual({ status: 'forged' })
})

test.for([
  [{ domain: 'no domain', secrets: [SECRET] }, 'domain: "no domain" is not a domain'],
  [{ domain: 'fwd.example', secrets: [] }, 'secrets: each needs at least 16 characters, and there must be one'],
  [{ domain: 'fwd.example', secrets: [SECRET, 'short'] }, 'secrets: each needs at least 16 characters'],
  [
    { domain: 'fwd.example', secrets: [SECRET], maxAgeDays: 400 },
    'maxAgeDays: 400 is not a whole number from 1 to 365',
  ],
] as const)('options that cannot be, such as %j, are refused', ([options, message]) => {
  expect(() => createSrs(options)).toThrow(message)
})
