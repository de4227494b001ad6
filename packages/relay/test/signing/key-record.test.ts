/** Records of keys in DNS: each fault that keeps receivers from verifying is found, and nothing else is one. */
import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { findFaults, generateKey, SigningKey } from '@postern/relay/signing'
import { RFC8463_ED25519, RFC8463_ED25519_PUBLIC } from './keys.ts'

const options = { domain: 'example.com', selector: 's' }
const ed25519 = new SigningKey(RFC8463_ED25519, options)
const rsa = new SigningKey(await generateKey('rsa'), options)
const other = new SigningKey(await generateKey('rsa'), options)
const short = new SigningKey(
  generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
  options,
)
/** As RFC 6376 3.6.1 describes it, without the structure around it. */
const bare = rsa.publicKey.export({ type: 'pkcs1', format: 'der' }).toString('base64')
const wrapped = ed25519.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')

function codes(key: SigningKey, ...texts: readonly string[]): string[] {
  return findFaults(texts, key).map(({ code }) => code)
}

describe('no fault is found', () => {
  test.for([
    ['the record of keygen', rsa, rsa.record],
    ['the record of keygen for Ed25519', ed25519, ed25519.record],
    ['a record of a key alone', rsa, `p=${rsa.publicText}`],
    ['a key in the structure of PKCS #1', rsa, `v=DKIM1; k=rsa; p=${bare}`],
    [
      'blanks, unknown tags and a semicolon at the end',
      rsa,
      ` v = DKIM1 ;n=note; k=rsa;\tp=${rsa.publicText.slice(0, 9)} ${rsa.publicText.slice(9)} ; `,
    ],
    ['lists that have the wanted word', rsa, `v=DKIM1; h=sha1:sha256; s=email:other; t=s; p=${rsa.publicText}`],
  ] as const)('for %s', ([, key, text]) => {
    expect(findFaults([text], key)).toEqual([])
  })
})

describe('a fault is found', () => {
  test.for([
    ['no-record', rsa, []],
    ['several-records', rsa, [other.record, rsa.record]],
    ['several-records other-key', rsa, [other.record, other.record]],
    ['revoked', rsa, ['v=DKIM1; k=rsa; p=']],
    ['other-key', rsa, [other.record]],
    ['other-key', ed25519, [`v=DKIM1; k=ed25519; p=${Buffer.alloc(32, 7).toString('base64')}`]],
    ['other-type bad-key', ed25519, [rsa.record]],
    ['other-type bad-key', rsa, [ed25519.record]],
    ['other-type', ed25519, [`v=DKIM1; p=${RFC8463_ED25519_PUBLIC}`]],
    ['bad-key', ed25519, [`v=DKIM1; k=ed25519; p=${wrapped}`]],
    ['bad-key', rsa, ['v=DKIM1; p=AAAA']],
    ['bad-key', rsa, [`v=DKIM1; p=${wrapped}`]],
    ['bad-key', rsa, ['v=DKIM1; p=not base64!']],
    ['version', rsa, [rsa.record.replace('DKIM1', 'DKIM2')]],
    ['version', rsa, [`k=rsa; v=DKIM1; p=${rsa.publicText}`]],
    ['hash', rsa, [`v=DKIM1; h=sha1; p=${rsa.publicText}`]],
    ['service', rsa, [`v=DKIM1; s=other; p=${rsa.publicText}`]],
    ['test-mode', rsa, [`v=DKIM1; t=s:y; p=${rsa.publicText}`]],
    ['short-key', short, [short.record]],
    ['syntax', rsa, ['v=DKIM1; k=rsa']],
    ['version syntax', rsa, ['v=spf1 -all']],
    ['syntax', rsa, ['']],
    ['syntax', rsa, [`v=DKIM1; p=${rsa.publicText}; p=`]],
    ['syntax', rsa, [`${'x=1;'.repeat(100_000)}`]],
  ] as const)('%s', ([wanted, key, texts]) => {
    expect(codes(key, ...texts).join(' ')).toBe(wanted)
  })

  test('and its text is one line of printable ASCII, whatever is in DNS', () => {
    for (const text of ['v=\x1b[2J; p=\r\n', 'k=\u202e; p=é', `p=${'é'.repeat(100_000)}`, '\n\n']) {
      for (const fault of findFaults([text], rsa)) expect(fault.text).toMatch(/^[\x20-\x7e…]{1,600}$/)
    }
  })
})
