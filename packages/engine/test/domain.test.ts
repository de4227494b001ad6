/** Domains that are equal, and texts that are none. test/contracts/wire/domains.ts checks the same on every runtime. */
import { domainToASCII, domainToUnicode } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DOMAIN_CHECKS } from '../../../test/contracts/wire/domains.ts'
import { asciiDomain, sameDomain } from '../src/protocol/grammar/domain.ts'

/** Letters and digits of scripts that are written from left to right, in upper case too. */
const LETTERS = fc.constantFrom(...'aZ09éÜßøŁčΣσςДжЯ例テ漢字한글ไทยअ')
const LABEL = fc.string({ unit: LETTERS, minLength: 1, maxLength: 12 }).filter((label) => /^[^\p{M}]/u.test(label))
const DOMAIN = fc.array(LABEL, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'))
/** Text in which the characters that URL gives a meaning to are frequent. */
const HOSTILE = fc.string({
  unit: fc.oneof(LETTERS, fc.constantFrom(...'%/?#@:\\[]..--_ \t\0。．％＠０Ｋ\u{212a}\u{ad}\u{200d}'), fc.string()),
  maxLength: 40,
})

describe('domains', () => {
  test.each(DOMAIN_CHECKS.map(({ check, run }) => [check, run] as const))('%s', (_, run) => run())

  test('a domain gets the A-labels that the URL standard gives it', () => {
    fc.assert(
      fc.property(DOMAIN, (domain) => {
        // The URL standard looks for an IPv4 address in a name that ends with a number.
        fc.pre(!/(^|\.)(\d+|0x[0-9a-f]*)$/i.test(domain))
        expect(asciiDomain(domain)).toBe(domainToASCII(domain))
      }),
    )
  })

  test('the U-labels and the A-labels of a domain are the same domain', () => {
    fc.assert(
      fc.property(DOMAIN, (domain) => {
        const ascii = asciiDomain(`x.${domain}.x`) as string
        expect(sameDomain(ascii, domainToUnicode(ascii))).toBe(true)
        expect(sameDomain(ascii.toUpperCase(), `X.${domain}.X.`)).toBe(true)
        expect(sameDomain(ascii, `y.${domain}.x`)).toBe(false)
      }),
    )
  })

  test('hostile text is a domain in ASCII or none, and its form does not change again', () => {
    fc.assert(
      fc.property(HOSTILE, (text) => {
        const ascii = asciiDomain(text)
        expect(sameDomain(text, text)).toBe(ascii !== undefined)
        if (ascii === undefined) return
        expect(ascii).toMatch(/^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/)
        expect(ascii.length).toBeLessThanOrEqual(253)
        expect(asciiDomain(ascii)).toBe(ascii)
        // No dot comes or goes, except the dot of the root.
        expect(ascii.split('.').length).toBe(text.replace(/\.$/, '').split('.').length)
      }),
      { numRuns: 2_000 },
    )
  })

  test('text in ASCII changes only its case', () => {
    const ascii = fc.string({ unit: fc.constantFrom(...'aBz09-_.%/@:x'), maxLength: 20 })
    fc.assert(
      fc.property(ascii, (text) => {
        expect(asciiDomain(text) ?? text.toLowerCase().replace(/\.$/, '')).toBe(text.toLowerCase().replace(/\.$/, ''))
      }),
    )
  })
})
