/** The settings of the Worker: which are read, and which are mistakes. */
import { OptionError } from '@postern/engine'
import { domainsGuard } from '@postern/intake/guards'
import { HOSTNAME_RULE, SECRET_RULE } from '@postern/intake/settings'
import { describe, expect, test } from 'vitest'
import { readSettings, type SettingsInput } from '../src/settings.ts'

const GIVEN = { POSTERN_HOSTNAME: 'mx.example', POSTERN_DOMAINS: 'example.com' }

describe('the domains', () => {
  test('are read in lower case, and *. means every domain below', () => {
    const { domains = [] } = readSettings({ ...GIVEN, POSTERN_DOMAINS: 'Example.com, *.example.org' })
    expect([...domains]).toEqual(['example.com', '*.example.org'])
    const { rcpt } = domainsGuard(domains)
    const codes = ['example.com', 'mx.example.org', 'example.org', 'example.net', ''].map(
      (domain) => rcpt({ domain } as Parameters<typeof rcpt>[0])?.code,
    )
    expect(codes).toEqual([undefined, undefined, 550, 550, undefined])
  })

  test('may be any if the list is *', () => {
    expect(readSettings({ ...GIVEN, POSTERN_DOMAINS: '*' }).domains).toBeUndefined()
  })

  test.each([undefined, '', 'example.com,', 'example.com,*', 'a b', 'ann@example.com', '*.'])(
    '%j is a mistake that names the setting',
    (value) => {
      const read = (): unknown => readSettings({ ...GIVEN, POSTERN_DOMAINS: value })
      expect(read).toThrow(OptionError)
      expect(read).toThrow(/^POSTERN_DOMAINS: /)
    },
  )
})

describe('the host name and the secrets', () => {
  const [one, other] = ['1'.repeat(32), '2'.repeat(32)] as const

  test.each([`${one},${other}`, `${one} ${other}`, `${one},\n${other}`])(
    'two front secrets are read from %j',
    (value) => {
      expect(readSettings({ ...GIVEN, POSTERN_FRONT_SECRET: value }).frontSecrets).toEqual([one, other])
    },
  )

  test.each<[string, string | undefined, string]>([
    ['POSTERN_HOSTNAME', undefined, HOSTNAME_RULE.allowed],
    ['POSTERN_HOSTNAME', '', HOSTNAME_RULE.allowed],
    ['POSTERN_HOSTNAME', 'mx example', HOSTNAME_RULE.allowed],
    ['POSTERN_FRONT_SECRET', '', SECRET_RULE.allowed],
    ['POSTERN_FRONT_SECRET', `${one},short`, SECRET_RULE.allowed],
    ['POSTERN_READ_TOKEN', `${one} ${other}`, SECRET_RULE.allowed],
  ])('%s: %j is a mistake that names the setting, as the server does', (name, value, allowed) => {
    const shown = name === 'POSTERN_HOSTNAME' ? (value === undefined ? value : JSON.stringify(value)) : '"(secret)"'
    expect(() => readSettings({ ...GIVEN, [name]: value })).toThrow(`${name}: ${shown} is not ${allowed}`)
  })
})

test('reverse DNS is off by default, and has the names of the server', () => {
  const resolver = 'https://one.example/dns-query, http://127.0.0.1:8053/dns-query'
  const on = { ...GIVEN, POSTERN_REVERSE_DNS: 'yes', POSTERN_RESOLVER: resolver, POSTERN_REVERSE_DNS_TIMEOUT_MS: 700 }
  const resolvers = ['https://one.example/dns-query', 'http://127.0.0.1:8053/dns-query']
  expect(readSettings(on).reverseDns).toEqual({ resolvers, timeoutMs: 700 })
  expect(readSettings({ ...on, POSTERN_REVERSE_DNS: 'no' }).reverseDns).toBeUndefined()
  expect(readSettings({ ...GIVEN, POSTERN_RESOLVER: resolver }).reverseDns).toBeUndefined()
  const input = { reverseDns: true, resolver: resolvers }
  expect(readSettings(GIVEN, input).reverseDns).toEqual({ resolvers, timeoutMs: 5_000 })
})

test('TLS may be required, and proxies are addresses, bindings, or all', () => {
  expect(readSettings(GIVEN)).toMatchObject({ tlsRequired: false, proxies: undefined })
  expect(readSettings({ ...GIVEN, POSTERN_TLS_REQUIRED: 'true' }).tlsRequired).toBe(true)
  const binding = { family: 'unknown', address: '' }
  const near = { family: 'ipv4', address: '10.1.2.3' }
  const far = { family: 'ipv4', address: '192.0.2.1' }
  const trusted = (proxyFrom: string | readonly string[]): boolean[] => {
    const { proxies } = readSettings(GIVEN, { proxyFrom })
    return [binding, near, far].map((endpoint) => proxies?.includes(endpoint) ?? false)
  }
  expect(trusted('10.0.0.0/8')).toEqual([false, true, false])
  expect(trusted(['binding'])).toEqual([true, false, false])
  expect(trusted('binding, 10.0.0.0/8')).toEqual([true, true, false])
  expect(trusted('all')).toEqual([true, true, true])
})

test('the retention limits have the names and the minimums of the server', () => {
  const given = { ...GIVEN, POSTERN_KEEP_AGE_MS: '60000', POSTERN_KEEP_COUNT: 1, POSTERN_KEEP_BYTES: 'Infinity' }
  expect(readSettings(given).retention).toEqual({ maxAgeMs: 60_000, maxCount: 1, maxBytes: Infinity })
  expect(() => readSettings({ ...GIVEN, POSTERN_KEEP_AGE_MS: '59999' })).toThrow(/^POSTERN_KEEP_AGE_MS: .*60000/)
  expect(() => readSettings({ ...GIVEN, POSTERN_KEEP_BYTES: '1000' })).toThrow(/^POSTERN_KEEP_BYTES: /)
})

test('limits are those of the engine, and an unknown variable is a mistake', () => {
  expect(readSettings({ ...GIVEN, POSTERN_MAX_MESSAGE_BYTES: '1000' }).limits).toEqual({ maxMessageBytes: 1000 })
  expect(() => readSettings({ ...GIVEN, POSTERN_MAX_MESAGE_BYTES: '1000' })).toThrow(/^POSTERN_MAX_MESAGE_BYTES: /)
})

describe('settings in the code', () => {
  test('have the names of the configuration file, and a var overrides them', () => {
    const input = {
      hostname: 'mx.code.example',
      domains: ['Example.com', '*.example.org'],
      frontSecret: ['a'.repeat(32), 'b'.repeat(32)],
      readToken: 'c'.repeat(32),
      keepCount: 7,
      maxMessageBytes: 1000,
    }
    const settings = readSettings({ POSTERN_HOSTNAME: 'mx.var.example', POSTERN_KEEP_COUNT: '8', OTHER: {} }, input)
    expect(settings).toEqual({
      tlsRequired: false,
      hostname: 'mx.var.example',
      domains: new Set(['example.com', '*.example.org']),
      frontSecrets: input.frontSecret,
      readToken: input.readToken,
      retention: { maxCount: 8 },
      limits: { maxMessageBytes: 1000 },
      accountRules: [],
      contents: { attachments: 'inside' },
    })
  })

  test('attachments are kept apart above a size, which is checked', () => {
    const apart = { POSTERN_ATTACHMENTS: 'apart', POSTERN_ATTACHMENTS_ABOVE_BYTES: '0' }
    expect(readSettings({ ...GIVEN, ...apart }).contents).toEqual({ attachments: 'apart', attachmentsAboveBytes: 0 })
    for (const [wrong, message] of [
      [{ POSTERN_ATTACHMENTS: 'outside' }, 'POSTERN_ATTACHMENTS: "outside" is not inside or apart'],
      [
        { POSTERN_ATTACHMENTS_ABOVE_BYTES: '1048577' },
        'POSTERN_ATTACHMENTS_ABOVE_BYTES: "1048577" is not a whole number from 0 to 1048576',
      ],
    ] as const) {
      expect(() => readSettings({ ...GIVEN, ...wrong })).toThrow(message)
    }
  })

  test.each([
    [{ domains: [] }, /^settings\.domains: /],
    [{ domains: ['a b'] }, /^settings\.domains: "a b" /],
    [{ domains: ['example.com', '*'] }, /^settings\.domains: /],
    [{ domains: 7 }, /^settings\.domains: "number" is not text/],
    [{ hostname: 7 }, /^settings\.hostname: "number" is not text/],
    [{ frontSecret: ['short'] }, /^settings\.frontSecret: "\(secret\)" /],
    [{ readToken: 'short' }, /^settings\.readToken: "\(secret\)" /],
    [{ keepBytes: 1 }, /^settings\.keepBytes: 1 is not a whole number from 1048576/],
    [{ keepCount: true }, /^settings\.keepCount: true /],
    [{ maxMessageBytes: '25MiB' }, /^settings\.maxMessageBytes: "25MiB" is not a number/],
    [{ maxMesageBytes: 1 }, /^settings\.maxMesageBytes: /],
  ])('%j is a mistake that names the setting', (input, message) => {
    const given = { hostname: 'mx.example', domains: 'example.com', ...input }
    const read = (): unknown => readSettings({}, given as SettingsInput)
    expect(read).toThrow(OptionError)
    expect(read).toThrow(message)
    expect(read).not.toThrow(/"short"/)
  })
})
