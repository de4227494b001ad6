/** Domains, accounts and aliases: what an address resolves to, and what accounts.json may hold. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkPassword, checkPasswordInPool } from '../src/accounts/password.ts'
import {
  Directory,
  type DirectoryData,
  formatScram,
  Identities,
  makeScramRecord,
  parsePassword,
} from '../src/directory/index.ts'
import { fitsScram } from '../src/directory/scram.ts'

const SCRAM = formatScram(await makeScramRecord('tiger', 4096))
/** Of `right`, by libcrypt. */
const BCRYPT = '$2b$04$QOghiZMfaf3TXKYOcFQ68es97bhjnIuZFJEybRlnu2h.f2KOM3W7u'

const DATA: DirectoryData = {
  domains: ['example.com', { name: 'Bücher.example', catchAll: 'jane@example.com' }, '*.example.org'],
  accounts: [
    { address: 'jane@example.com', password: SCRAM, certificates: ['AB:'.repeat(31) + 'AB'] },
    { address: 'bob@example.com', password: BCRYPT, secret: 'tanstaaftanstaaf' },
    { address: 'off@example.com', password: SCRAM, suspended: true },
    { address: '"jane doe"@example.com' },
    { address: 'ops@*.example.org' },
    { address: 'a+b@example.com' },
  ],
  aliases: [
    { address: 'sales@example.com', to: ['jane@example.com', 'bob@example.com'] },
    { address: 'all@example.com', to: ['sales@example.com', 'off@example.com', 'Jane@EXAMPLE.com'] },
    { address: 'gone@example.com', to: 'off@example.com' },
    { address: 'abuse@example.com', to: 'bob@example.com' },
  ],
  secret: 'abcdefghijklmnopqrstuvwxyz',
}
const directory = new Directory(DATA)

function at(address: string): { localPart: string; domain: string } {
  const [localPart = '', domain = ''] = address.split(/@(?=[^@]*$)/)
  return { localPart, domain }
}

describe('an address resolves to', () => {
  test.each<[string, string[]]>([
    ['jane@example.com', ['jane@example.com']],
    ['JANE@Example.COM', ['jane@example.com']],
    ['jane+shop@example.com', ['jane@example.com']],
    ['jane+a+b@example.com', ['jane@example.com']],
    ['jane doe@example.com', ['"jane doe"@example.com']],
    ['a+b@example.com', ['a+b@example.com']],
    ['sales@example.com', ['jane@example.com', 'bob@example.com']],
    ['sales+x@example.com', ['jane@example.com', 'bob@example.com']],
    ['all@example.com', ['jane@example.com', 'bob@example.com']],
    ['anybody@bücher.example', ['jane@example.com']],
    ['anybody@xn--bcher-kva.example', ['jane@example.com']],
    ['ops@a.example.org', ['ops@*.example.org']],
    ['ops+x@b.a.example.org', ['ops@*.example.org']],
    ['postmaster@example.com', []],
    ['Postmaster@a.example.org', []],
    ['abuse@example.com', ['bob@example.com']],
    ['postmaster', []],
    ['PostMaster', []],
  ])('%s: accounts %j', (address, accounts) => {
    expect(directory.resolve(at(address))).toEqual({ kind: 'accounts', accounts })
  })

  test.each<[string, string]>([
    ['off@example.com', 'suspended'],
    ['off+tag@example.com', 'suspended'],
    ['gone@example.com', 'suspended'],
    ['nobody@example.com', 'unknown'],
    ['+jane@example.com', 'unknown'],
    ['nobody@a.example.org', 'unknown'],
    ['root', 'unknown'],
    ['ops@example.org', 'elsewhere'],
    ['jane@example.net', 'elsewhere'],
    ['jane@sub.example.com', 'elsewhere'],
    ['jane@example.com.evil.example', 'elsewhere'],
    ['jane@ｅxample.com', 'elsewhere'],
    ['jane@evil.example%example.com', 'elsewhere'],
    ['jane@[192.0.2.1]', 'elsewhere'],
  ])('%s: nothing, because it is %s', (address, kind) => {
    expect(directory.resolve(at(address))).toEqual({ kind })
  })

  test('another separator may be set, or none', () => {
    const dash = new Directory({ ...DATA, separator: '-' })
    expect(dash.resolve(at('bob-x@example.com'))).toMatchObject({ accounts: ['bob@example.com'] })
    expect(dash.resolve(at('bob+x@example.com'))).toEqual({ kind: 'unknown' })
    expect(new Directory({ ...DATA, separator: '' }).resolve(at('bob+x@example.com'))).toEqual({ kind: 'unknown' })
  })

  test('never throws, whatever the address is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (localPart, domain) => {
        expect(directory.resolve({ localPart, domain })).toHaveProperty('kind')
      }),
    )
  })
})

test('an account may send as its own address, with a tag, and as aliases that lead to it', () => {
  const may = (address: string): boolean => directory.maySendAs('bob@example.com', at(address))
  expect(['bob@example.com', 'bob+x@example.com', 'sales@example.com', 'abuse@example.com'].map(may)).toEqual([
    true,
    true,
    true,
    true,
  ])
  expect(directory.maySendAs('ann', at('jane@example.com'))).toBe(true)
  expect(directory.maySendAs('ann@elsewhere.example', at('jane@example.com'))).toBe(true)
  // They were accounts when they logged in.
  for (const user of ['off@example.com', 'gone@example.com', 'nobody@example.com']) {
    expect(directory.maySendAs(user, at('jane@example.com'))).toBe(false)
  }
  expect(['jane@example.com', 'off@example.com', 'bob@example.net', 'x@bücher.example'].map(may)).toEqual([
    false,
    false,
    false,
    false,
  ])
})

test('an alias expands to its accounts', () => {
  expect(directory.expand(at('sales@example.com'))).toEqual(['jane@example.com', 'bob@example.com'])
  expect(directory.expand(at('jane@example.com'))).toBeUndefined()
  expect(directory.expand(at('gone@example.com'))).toEqual([])
})

describe('a mistake in the data is one line', () => {
  const ok = { domains: ['example.com'], accounts: [{ address: 'jane@example.com' }] }
  test.each<[unknown, string]>([
    [[], 'the file: a list is not an object with domains, accounts, aliases, separator, secret'],
    [{ acounts: [] }, 'acounts: there is no such field; the fields are domains, accounts, aliases, separator, secret'],
    [{ domains: 'example.com' }, 'domains: "example.com" is not a list'],
    [
      { domains: ['exa mple.com'] },
      'domains[0]: "exa mple.com" is not a domain such as example.com, or *.example.com for all below it',
    ],
    [{ domains: ['a.example', 'A.example'] }, 'domains[1]: "a.example" is there twice; remove one'],
    [
      { domains: [{ name: 'a.example', catchall: 'x@a.example' }] },
      'domains[0].catchall: there is no such field; the fields are name, catchAll',
    ],
    [
      { ...ok, accounts: [{ address: 'jane' }] },
      'accounts[0].address: "jane" is not an address such as jane@example.com',
    ],
    [
      { ...ok, accounts: [{ address: 'jane@example.net' }] },
      'accounts[0].address: the domain of "jane@example.net" is not among `domains`; add it there',
    ],
    [
      { ...ok, accounts: [...ok.accounts, { address: 'Jane@example.com' }] },
      'accounts[1].address: "Jane@example.com" is there twice; remove one',
    ],
    [
      { ...ok, accounts: [{ address: 'a@example.com', password: 'tiger' }] },
      'accounts[0].password of "a@example.com": the value (not shown) is not SCRAM-SHA-256$…, $scrypt$… or $2b$…, as `postern hash` and `postern user` make it, or bcrypt',
    ],
    [
      { ...ok, accounts: [{ address: 'a@example.com', suspended: 'no' }] },
      'accounts[0].suspended: "no" is not true or false',
    ],
    [
      { ...ok, accounts: [{ address: 'a@example.com', certificates: ['ab'] }] },
      'accounts[0].certificates[0]: "ab" is not the SHA-256 of a certificate: 64 hexadecimal digits',
    ],
    [
      { ...ok, aliases: [{ address: 'jane@example.com', to: 'jane@example.com' }] },
      'aliases[0].address: "jane@example.com" is there twice; remove one',
    ],
    [{ ...ok, aliases: [{ address: 'x@example.com', to: [] }] }, 'aliases[0].to: needs an account or alias'],
    [
      { ...ok, aliases: [{ address: 'x@example.com', to: 'bob@example.com' }] },
      'aliases[0].to[0]: there is no account or alias "bob@example.com"',
    ],
    [
      { ...ok, aliases: [{ address: 'x@example.com', to: 'jane@gmail.example' }] },
      'aliases[0].to[0]: the domain of "jane@gmail.example" is not among `domains`; add it there',
    ],
    [
      {
        ...ok,
        aliases: [
          { address: 'x@example.com', to: 'y@example.com' },
          { address: 'y@example.com', to: 'x@example.com' },
        ],
      },
      'aliases[0]: the alias leads back to itself: x@example.com → y@example.com → x@example.com',
    ],
    [
      { ...ok, domains: [{ name: 'example.com', catchAll: 'no@example.com' }] },
      'domains[0].catchAll: there is no account or alias "no@example.com"',
    ],
    [{ ...ok, rules: [] }, 'rules: there is no such field'],
    [{ separator: '++' }, "separator: \"++\" is not one character of a local part, such as '+', or ''"],
    [{ secret: 'short' }, 'secret: nothing is not a random text of at least 16 characters'],
  ])('%j', (data, message) => {
    expect(() => new Directory(data)).toThrow(message)
  })

  test('a chain or a fan of aliases without end is refused', () => {
    const chain = Array.from({ length: 20 }, (_, n) => ({ address: `a${n}@example.com`, to: `a${n + 1}@example.com` }))
    const data = { ...ok, accounts: [{ address: 'a20@example.com' }], aliases: chain }
    expect(() => new Directory(data)).toThrow('aliases[0]: more than 10 aliases follow one another')
    const fan = Array.from({ length: 8 }, (_, n) => ({
      address: `b${n}@example.com`,
      to: Array.from({ length: 8 }, () => `b${n + 1}@example.com`),
    }))
    expect(() => new Directory({ ...ok, accounts: [{ address: 'b8@example.com' }], aliases: fan })).toThrow(
      'aliases[0]: the alias reaches more than 1000 addresses',
    )
  })
})

describe('identities', () => {
  const identities = new Identities([directory])

  test('are found by their address in any spelling, and not if they are suspended', () => {
    expect(identities.find('Jane@EXAMPLE.com')?.user).toBe('jane@example.com')
    for (const name of ['off@example.com', 'sales@example.com', 'jane', 'jane@example.net', '']) {
      expect(identities.find(name)).toBeUndefined()
    }
    expect(identities.kinds).toEqual({ password: true, scram: true, secret: true })
  })

  test('of a client certificate are found by its fingerprint', () => {
    const certificate = { subject: '', issuer: '', fingerprint: 'ab'.repeat(32), verified: true }
    expect(identities.certificateIdentity(certificate)?.user).toBe('jane@example.com')
    expect(identities.certificateIdentity({ ...certificate, fingerprint: 'ac'.repeat(32) })).toBeUndefined()
  })

  test('that do not exist get SCRAM keys with the iterations of the others, and a salt that stays the same', async () => {
    const ghost = await identities.scramKeys('ghost@example.com')
    const again = await new Identities([new Directory(DATA)]).scramKeys('Ghost@Example.com')
    expect(ghost).toMatchObject({ iterations: 4096, salt: again.salt })
    expect((await identities.scramKeys('spook@example.com')).salt).not.toEqual(ghost.salt)
    // An account whose record is not SCRAM looks the same.
    expect(await identities.scramKeys('bob@example.com')).toMatchObject({ iterations: 4096 })
    expect(await identities.scramKeys('JANE@example.com')).toMatchObject({ user: 'jane@example.com', iterations: 4096 })
  })
})

describe('password records', () => {
  test.each([SCRAM, BCRYPT, `$scrypt$ln=4,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`])('%s is one', (text) => {
    expect(parsePassword(text)).toBeDefined()
  })

  test.each([
    '',
    'tiger',
    SCRAM.replace('4096', '4095'),
    SCRAM.replace('4096', '10000001'),
    `${SCRAM}A`,
    '$2b$17$QOghiZMfaf3TXKYOcFQ68es97bhjnIuZFJEybRlnu2h.f2KOM3W7u',
    '$1$abc$def',
  ])('%j is not', (text) => {
    expect(parsePassword(text)).toBeUndefined()
  })

  test.each([
    [SCRAM, 'tiger'],
    [BCRYPT, 'right'],
  ])('%s is checked in a thread and in the pool', async (text, password) => {
    const expected = parsePassword(text)
    if (expected === undefined) throw new Error('no record')
    for (const check of [checkPassword, checkPasswordInPool]) {
      expect(await check({ password, expected })).toBe(true)
      expect(await check({ password: `${password} `, expected })).toBe(false)
    }
  })

  test('two spellings of one password fit (RFC 4013), and a prohibited character never does', async () => {
    const record = await makeScramRecord('I\u00adX ª\u{1f600}', 4096)
    for (const [password, fits] of [
      ['IX a\u{1f600}', true],
      ['IX b\u{1f600}', false],
      ['IX a\u{1f600}\u0007', false],
    ] as const) {
      expect(await fitsScram(password, record)).toBe(fits)
      expect(await checkPassword({ password, expected: record })).toBe(fits)
    }
    await expect(makeScramRecord('bell\u0007', 4096)).rejects.toThrow()
  })
})
