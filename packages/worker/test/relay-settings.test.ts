/** The settings of mail that is sent on: which are read, and which are mistakes. */
import { Directory } from '@postern/intake/directory'
import { generateKey } from '@postern/relay/signing'
import { describe, expect, test } from 'vitest'
import type { RelaySettingsInput } from '../src/relay/input.ts'
import { isRelaySetting, readRelaySettings, type RelayNeeds } from '../src/relay/settings.ts'
import { readSettings } from '../src/settings.ts'

const SMARTHOST = 'smtp+starttls://worker:hush-hush@smtp.example.net'
const SRS = 's'.repeat(32)
const FORWARD = JSON.stringify([{ for: 'sales@example.com', do: { forward: 'jane@example.org' } }])
const NEEDS: RelayNeeds = {
  accountRules: [],
  domains: new Set(['example.com']),
  directory: undefined,
  limits: {},
  hasUsers: true,
}

function read(env: object, input: RelaySettingsInput = {}, needs: Partial<RelayNeeds> = {}) {
  return readRelaySettings(env, input, { ...NEEDS, ...needs })
}

test('without settings nothing is sent on', () => {
  expect(read({}).smarthost).toBeUndefined()
  expect(read({ POSTERN_RELAY: 'off' }).smarthost).toBeUndefined()
})

test('the numbers have the names and the defaults of the server, apart from those of Cloudflare', () => {
  const given = { POSTERN_RELAY: SMARTHOST, POSTERN_RELAY_GIVE_UP_MS: '60000', POSTERN_RELAY_TIMEOUT_MS: 5_000 }
  expect(read(given)).toMatchObject({
    smarthost: SMARTHOST,
    relayFirstRetryMs: 300_000,
    relayMaxRetryMs: 14_400_000,
    relayDelayNoticeMs: 14_400_000,
    relayGiveUpMs: 60_000,
    relayConnectTimeoutMs: 30_000,
    relayTimeoutMs: 5_000,
    relayMaxDeliveries: 4,
  })
})

test('a var overrides the code', () => {
  const settings = read({ POSTERN_RELAY_MAX_DELIVERIES: '2' }, { relay: SMARTHOST, relayMaxDeliveries: 3 })
  expect([settings.smarthost, settings.relayMaxDeliveries]).toEqual([SMARTHOST, 2])
})

test('keys come from several secrets, as objects and lists, with text above the PEM', async () => {
  const [rsa, ed25519] = [await generateKey('rsa'), await generateKey('ed25519')]
  const { keys } = read({
    POSTERN_DKIM: JSON.stringify([{ domain: 'example.com', selector: 's1', key: `Signs-From: x\n${rsa}` }]),
    POSTERN_DKIM_2: JSON.stringify({
      domain: 'example.org',
      selector: 's2',
      key: ed25519,
      signsFrom: '2026-12-05T00:00:00Z',
    }),
  })
  expect(keys.map(({ recordName, type }) => [recordName, type])).toEqual([
    ['s1._domainkey.example.com', 'rsa'],
    ['s2._domainkey.example.org', 'ed25519'],
  ])
  expect(keys[1]?.signsFrom).toEqual(new Date('2026-12-05T00:00:00Z'))
})

const ACCOUNTS = {
  domains: ['example.com'],
  accounts: [],
  rules: [
    { for: 'sales@example.com', do: 'drop' },
    { for: 'example.com', do: { refuse: '550 5.7.1 closed' } },
  ],
}

test('rules of the accounts come behind those of POSTERN_RULES', () => {
  const env = { POSTERN_HOSTNAME: 'mx.example', POSTERN_ACCOUNTS: JSON.stringify(ACCOUNTS), POSTERN_RULES: FORWARD }
  const needs = readSettings(env, {}, isRelaySetting)
  const { rules } = read({ ...env, POSTERN_RELAY: SMARTHOST, POSTERN_SRS_SECRET: SRS }, {}, needs)
  expect(rules.find({ localPart: 'sales', domain: 'example.com' })).toMatchObject({
    handling: { forwardsTo: ['jane@example.org'] },
  })
  expect(rules.find({ localPart: 'info', domain: 'example.com' })?.refuses?.code).toBe(550)
  const foreign = JSON.stringify({ ...ACCOUNTS, rules: [{ for: 'other.example', do: 'drop' }] })
  const wrong = readSettings({ ...env, POSTERN_ACCOUNTS: foreign }, {}, isRelaySetting)
  // Without a relay nobody would do what they say.
  expect(() => readSettings(env)).toThrow('POSTERN_ACCOUNTS: rules: there is no such field')
  expect(() => read({}, {}, wrong)).toThrow(/^POSTERN_ACCOUNTS: rules: "other\.example" is not among `domains`/)
})

test('the other settings leave these alone, and a Worker without a relay refuses them', () => {
  const env = { POSTERN_HOSTNAME: 'mx.example', POSTERN_DOMAINS: 'example.com', POSTERN_RELAY: SMARTHOST }
  expect(readSettings(env, {}, isRelaySetting).hostname).toBe('mx.example')
  expect(() => readSettings(env)).toThrow('POSTERN_RELAY: "(set)" is not a setting')
  expect(() => readSettings({ ...env, POSTERN_RELAYS: 'x' }, {}, isRelaySetting)).toThrow(/^POSTERN_RELAYS: /)
})

describe('a mistake is one line that names the setting, and shows no secret', () => {
  test.each<[object, RegExp]>([
    [{ POSTERN_RELAY: 'mx' }, /^POSTERN_RELAY: "mx" is not off, .*Cloudflare blocks port 25/],
    [{ POSTERN_RELAY: 'smtp.example.net' }, /^POSTERN_RELAY: server URL: it does not begin with one of smtp:/],
    [{ POSTERN_RELAY: 'smtp://w:hush-hush@smtp.example.net:0' }, /^POSTERN_RELAY: server URL: port "0" is not/],
    [{ POSTERN_RELAY: 'lmtp+unix:/run/lmtp' }, /^POSTERN_RELAY: .*a Worker has no Unix sockets$/],
    [{ POSTERN_RELAY: 25 }, /^POSTERN_RELAY: "number" is not off/],
    [{ POSTERN_DKIM: 'hush-hush' }, /^POSTERN_DKIM: "\(not shown\)" is not JSON with the fields domain/],
    [{ POSTERN_DKIM: '{"domain":"a.example"}' }, /^POSTERN_DKIM: "\(not shown\)" is not JSON/],
    [
      { POSTERN_DKIM_A: '{"domain":"a.example","selector":"s","key":"hush-hush"}' },
      /^POSTERN_DKIM_A: the key of "a\.example" is not usable: /,
    ],
    [
      { POSTERN_DKIM: '[{"domain":"a.example","selector":"s","key":"x","signsUntil":"tomorrow"},{}]' },
      /^POSTERN_DKIM\[0\]\.signsUntil: "tomorrow" is not a time such as/,
    ],
    [{ POSTERN_RULES: '[' }, /^POSTERN_RULES: "\(not shown\)" is not JSON: a list of rules$/],
    [{ POSTERN_RULES: '[{"for":"a@example.com","do":"kep"}]' }, /^POSTERN_RULES\[0\]\.do: "kep" is not 'keep'/],
    [
      {
        POSTERN_RULES: JSON.stringify([
          { for: 'a@example.com', do: { webhook: 'https://a.example', secret: 'hush-hush' } },
        ]),
      },
      /^POSTERN_RULES\[0\]\.do\.secret: the value \(not shown\) is not whsec_/,
    ],
    [{ POSTERN_RULES: FORWARD, POSTERN_RELAY: SMARTHOST }, /^POSTERN_SRS_SECRET: needed/],
    [{ POSTERN_RULES: FORWARD, POSTERN_SRS_SECRET: SRS }, /^rules: need POSTERN_RELAY/],
    [{ POSTERN_SRS_SECRET: 'hush-hush' }, /^POSTERN_SRS_SECRET: "\(secret\)" is not at least 32/],
    [{ POSTERN_RELAY_FIRST_RETRY_MS: '5m' }, /^POSTERN_RELAY_FIRST_RETRY_MS: "5m" is not a whole number from 1000/],
    [{ POSTERN_RELAY_MAX_DELIVERIES: 0 }, /^POSTERN_RELAY_MAX_DELIVERIES: 0 is not a whole number from 1 to 1000/],
    [
      { POSTERN_RELAY: SMARTHOST, POSTERN_RELAY_MAX_RETRY_MS: 1_000 },
      /^POSTERN_RELAY_MAX_RETRY_MS: it is less than POSTERN_RELAY_FIRST_RETRY_MS/,
    ],
    [{ POSTERN_RELAY_PORT: 'hush-hush' }, /^POSTERN_RELAY_PORT: "\(set\)" is not a setting/],
  ])('%j', (env, message) => {
    expect(() => read(env)).toThrow(message)
    expect(() => read(env)).not.toThrow(/hush-hush|\n/)
  })

  const on = { POSTERN_RELAY: SMARTHOST }
  test.each<[string, Partial<RelayNeeds>, RegExp]>([
    ['every address is its own', { domains: undefined }, /^POSTERN_RELAY: needs to know which mail is for this Worker/],
    ['nobody can log in', { hasUsers: false }, /^POSTERN_RELAY: needs a user who may send/],
    ['a row has no room', { limits: { maxRecipients: 301 } }, /^POSTERN_MAX_RECIPIENTS: 301 is not at most 300/],
  ])('if %s', (_, needs, message) => {
    expect(() => read(on, {}, needs)).toThrow(message)
  })

  test('accounts say which mail is here, and a rule that forwards needs no user', () => {
    const directory = new Directory({ domains: ['example.com'], accounts: [] })
    expect(read(on, {}, { domains: undefined, directory }).smarthost).toBe(SMARTHOST)
    const rules = { ...on, POSTERN_RULES: FORWARD, POSTERN_SRS_SECRET: SRS }
    expect(read(rules, {}, { hasUsers: false }).rules.sendOn).toBe(true)
  })
})
