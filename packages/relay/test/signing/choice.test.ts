/** Which keys sign, and which can not. */
import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createDkimSigner } from '@postern/relay/signing'
import { type KeySet, keySet, makeKeys, RFC8463_ED25519 } from './keys.ts'
import { NOW_MS } from './messages.ts'

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
    const other = generateKeyPairSync('ed448').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    expect(() => keySet([{ pem: pem ?? other, domain: 'a.example', selector: 's' }])).toThrow(message as string)
  })

  test('are refused if they are encrypted', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    for (const type of ['pkcs8', 'pkcs1'] as const) {
      const pem = privateKey.export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase: 'tiger' }).toString()
      expect(() => keySet([{ pem, domain: 'a.example', selector: 's' }])).toThrow('its private key is encrypted')
    }
  })

  test('are refused if an RSA key is too short for RFC 8301', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 768 })
    const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
    const given = [{ pem, domain: 'a.example', selector: 's' }]
    expect(() => keySet(given)).toThrow('its RSA key has 768 bits, fewer than 1024 (RFC 8301)')
  })
})
