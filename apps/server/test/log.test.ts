/** The log: one line for each event, of bounded size, and without secrets, whatever strangers send. */
import { StorageError } from '@postern/storage'
import { Rules } from '@postern/intake/directory'
import { describe, expect, test } from 'vitest'
import { keptLine } from '../src/serve/announcement.ts'
import { type LogOptions, openLog } from '../src/serve/logs/log.ts'
import { OPTIONS } from '../src/config/options.ts'
import { MAX_FIELD_LENGTH, MAX_TEXT_LENGTH } from '../src/serve/logs/plain.ts'

type Fields = Record<string, unknown>
const FORMATS = ['json', 'pretty'] as const
const KIB_64 = 65_536
/** An event that takes longer would delay every client. Each takes about a millisecond. */
const HANG_MS = 60_000

/** Returns what the log writes for one event. */
async function written(
  format: 'json' | 'pretty',
  fields: Fields,
  options: Partial<LogOptions> = {},
  level: 'info' | 'error' | 'fatal' = 'info',
): Promise<string> {
  let text = ''
  const log = await openLog(
    { logLevel: 'info', debug: false, ...options, logFormat: format },
    { write: (line) => (text += line) },
  )
  log[level]('event', fields)
  return text
}

async function json(fields: Fields, options: Partial<LogOptions> = {}, level?: 'error' | 'fatal'): Promise<Fields> {
  return JSON.parse(await written('json', fields, options, level)) as Fields
}

/** Nothing that moves a cursor, ends a line, or turns or hides text. */
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\ufeff\p{Surrogate}]/u

const HOSTILE: Readonly<Record<string, string>> = {
  'CR and LF': 'a\r\nb\nc\rd',
  'a record of its own': '"}\n{"level":"FATAL","message":"forged"}',
  'escape sequences': '\x1b[2J\x1b]0;owned\x07\x9b31m',
  'separators of lines and paragraphs': 'a\u2028b\u2029c\u0085d',
  NUL: 'a\0b',
  'marks that turn text': '\u202etxt.exe\u2066',
  'half of a surrogate pair': 'a\ud800b',
  'the beginning of a private key': '"-----BEGIN PRIVATE KEY-----"@x',
  'the form of a URL with a password': '"//user:password@"@x',
  'the form of an AUTH command': '"AUTH PLAIN AGEAYg=="@x',
  'a placeholder of a template': '{sessionId} {*} {__proto__}',
}

describe.each(FORMATS)('%s', (format) => {
  test.each(Object.entries(HOSTILE))('an event is one whole line: %s', async (_, text) => {
    const line = await written(format, { from: text, to: [text, { deep: text }], last: 'end' })
    expect(line.indexOf('\n')).toBe(line.length - 1)
    expect(line).toMatch(format === 'json' ? /"last":"end"\}\n$/ : / last=end(?:\x1b\[0m)?\n$/)
    expect(line).not.toMatch(UNSAFE)
    if (format === 'json')
      expect(JSON.parse(line)).toMatchObject({ from: text.toWellFormed() === text ? text : 'a\ud800b' })
  })

  test('an error message with several lines does not look like several events', async () => {
    const line = await written(format, { error: new Error('a\n12:00:00.000   info postern forged') }, {}, 'error')
    for (const one of line.trimEnd().split('\n').slice(1)) expect(one).toMatch(/^ {4}/)
  })

  test('the size of an event is bounded', async () => {
    const long = '\u2028'.repeat(KIB_64)
    const to = Array.from({ length: 1_000 }, () => long)
    const nested = Array.from({ length: 100 }, () =>
      Array.from({ length: 100 }, () => ({ long, more: [long, [long]] })),
    )
    const wide = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`name${i}`, i]))
    const error = Object.assign(new Error(long), { stack: long, cause: new Error(long, { cause: new Error(long) }) })
    for (const fields of [{ from: long, to }, { nested }, { wide }, { error }, { [long]: long }]) {
      // Each character that can't be shown takes up to eight.
      expect((await written(format, fields)).length).toBeLessThan(20 * MAX_FIELD_LENGTH)
    }
  })

  test('the largest values that a client can send are logged without delay', { timeout: HANG_MS }, async () => {
    const worst = ['//' + ':'.repeat(KIB_64), '//'.repeat(KIB_64 / 2), 'AUTH '.repeat(13_000), '$scrypt$'.repeat(8_000)]
    worst.push('-----BEGIN '.repeat(6_000), '-----BEGIN PRIVATE KEY----- -----END '.repeat(1_700), ' '.repeat(KIB_64))
    worst.push(
      '\r'.repeat(KIB_64),
      '"'.repeat(KIB_64),
      '\x1b'.repeat(KIB_64),
      '@'.repeat(KIB_64),
      '//a@'.repeat(16_000),
    )
    const options = { frontSecret: ['a'.repeat(40), '@'.repeat(2_000) + 'b'] }
    for (const text of worst) {
      for (let i = 0; i < 50; i++) {
        const error = Object.assign(new Error(text, { cause: new Error(text) }), { stack: text })
        await written(
          format,
          { from: text, to: Array.from({ length: 1_000 }, () => text), reason: text, error },
          options,
        )
      }
    }
  })
})

test('a value that is too long is cut, and its length is shown', async () => {
  const { from, to } = await json({ from: 'x'.repeat(KIB_64), to: Array.from({ length: 150 }, (_, i) => i) })
  expect(from).toBe(`${'x'.repeat(MAX_TEXT_LENGTH)}… (65536 characters)`)
  expect(to).toHaveLength(101)
  expect((to as unknown[]).at(-1)).toBe('… and 50 more')
})

test('the line on standard output has a bounded size, and is one line', () => {
  const path = { address: '\n'.repeat(KIB_64), localPart: '', domain: '', parameters: new Map() }
  const session = { user: '\u2028'.repeat(KIB_64), transmissionType: 'ESMTP' }
  const record = {
    id: 'ID',
    reversePath: path,
    forwardPaths: Array.from({ length: 1_000 }, () => path),
    size: 1,
    session,
  }
  const line = keptLine(record as unknown as Parameters<typeof keptLine>[0])
  expect(line.length).toBeLessThan(50_000)
  expect(line.indexOf('\n')).toBe(line.length - 1)
  expect(line).toContain('and 997 more')
})

describe('secrets', () => {
  const HOOK_SECRET = `whsec_${'AbC+dEf/'.repeat(4)}`
  const OWN = {
    rules: new Rules([{ for: 'a.example', do: { webhook: 'https://hook.example/x', secret: HOOK_SECRET } }]),
    frontSecret: ['first-front-secret-of-40-characters-____', 'second/front+secret "of" 40 characters __'],
    tlsPassphrase: 'pass phrase',
    sni: { 'mx.example': { tlsKey: 'k', tlsCert: 'c', tlsPassphrase: 'sni-phrase' } },
    s3Credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'wJalr/XUtn+FEMI', sessionToken: 'IQoJb3JpZ2lu' },
  }
  const VALUES = [HOOK_SECRET, ...OWN.frontSecret, 'pass phrase', 'sni-phrase', 'wJalr/XUtn+FEMI', 'IQoJb3JpZ2lu']

  test('the log knows every secret of the table of options', () => {
    const secret = Object.entries(OPTIONS).filter(([, option]) => 'secret' in option && option.secret === true)
    expect(secret.map(([name]) => name).toSorted()).toEqual([
      'frontSecret',
      'oauth',
      'relay',
      'rules',
      's3Credentials',
      'submitTo',
      'tlsPassphrase',
      'users',
    ])
  })

  test.each(FORMATS)('secrets of the settings are in no error, cause, reason or value: %s', async (format) => {
    for (const value of VALUES) {
      const quoted = `${value} and ${encodeURIComponent(value)} and ${JSON.stringify({ value })}`
      const error = new Error(`bad ${quoted}`, { cause: new Error(quoted, { cause: { text: quoted } }) })
      const line = await written(format, { error, reason: quoted, list: [[quoted]], from: quoted }, OWN, 'fatal')
      expect(line).not.toContain(value)
      expect(line).not.toContain(encodeURIComponent(value))
      expect(line).not.toContain(JSON.stringify(value).slice(1, -1))
      expect(line).toContain('bad (credentials) and (credentials)')
    }
  })

  test('S3 secrets of the environment are hidden too', async () => {
    process.env['AWS_SECRET_ACCESS_KEY'] = 'of-the-environment'
    try {
      expect(await json({ reason: 'signed with of-the-environment' })).toMatchObject({
        reason: 'signed with (credentials)',
      })
    } finally {
      delete process.env['AWS_SECRET_ACCESS_KEY']
    }
  })

  test('a value that is cut inside a secret shows no part of the secret', async () => {
    const [secret = ''] = OWN.frontSecret
    for (let before = MAX_TEXT_LENGTH - secret.length - 2; before <= MAX_TEXT_LENGTH + 2; before++) {
      for (const after of [0, 3_000, 10_000]) {
        const reason = 'x'.repeat(before) + secret + 'y'.repeat(after)
        expect((await json({ reason }, OWN))['reason']).not.toContain(secret.slice(0, 8))
      }
    }
    // Hiding secrets moves text from far behind the cut close to it. That also happens if the text itself was cut
    // before.
    for (let before = 0; before < secret.length; before++) {
      const reason = 'x'.repeat(before) + secret.repeat(1_000)
      expect((await json({ reason }, { frontSecret: [secret] }))['reason']).not.toContain(secret.slice(0, 8))
    }
  })

  test('URLs with a user, hashes and private keys are hidden in errors, and nowhere else', async () => {
    const hash = '$scrypt$ln=15,r=8,p=3$WDPHjnzj3i8pVmrpTgU9Ng$c2Uga0ZPUcnJeL4Ag1yhKxxIGliKpNzTdwThunXlgUA'
    const key = '-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----'
    const texts: [string, string][] = [
      [
        'can not reach postgres://me:pa:ss@db.example/mail?x=a@b',
        'can not reach postgres://(credentials)@db.example/mail?x=a@b',
      ],
      ['https://token@host, https://host/@a, //[::1]:25', 'https://(credentials)@host, https://host/@a, //[::1]:25'],
      [`of ann:${hash} or`, 'of ann:(credentials) or'],
      ['"SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy"', '"(credentials)"'],
      ['is $2b$04$QOghiZMfaf3TXKYOcFQ68es97bhjnIuZFJEybRlnu2h, no', 'is (credentials) no'],
      [`a ${key} b ${key.slice(0, 38)}`, 'a (credentials) b (credentials)'],
      ['-----BEGIN CERTIFICATE-----', '-----BEGIN CERTIFICATE-----'],
    ]
    for (const [text, shown] of texts) {
      const line = await json({ reason: text, error: new Error(text, { cause: text }), from: text }, {}, 'fatal')
      expect(line).toMatchObject({ reason: shown, error: { message: shown, cause: shown }, from: text })
      expect((line['error'] as { stack: string }).stack).toContain(shown)
    }
  })

  test('a field is hidden by its name, at any depth', async () => {
    const fields = { password: 'a', deep: [{ tlsPassphrase: 'b', sessionToken: 'c', Authorization: 'd', user: 'e' }] }
    expect(await json(fields)).toMatchObject({
      password: '(hidden)',
      deep: [{ tlsPassphrase: '(hidden)', sessionToken: '(hidden)', Authorization: '(hidden)', user: 'e' }],
    })
  })
})

test('a stack is logged for a bug, and not for an error that the operator can fix', async () => {
  const bug = new TypeError('x is not a function')
  const full = new StorageError('no-space', 'no space left', {
    cause: Object.assign(new Error('write'), { code: 'ENOSPC' }),
  })
  expect(await json({ error: bug }, {}, 'error')).toMatchObject({ error: { name: 'TypeError', stack: bug.stack } })
  const { error } = await json({ error: full }, {}, 'error')
  expect(error).toEqual({
    name: 'StorageError',
    message: 'no space left',
    code: 'no-space',
    cause: { name: 'Error', message: 'write', code: 'ENOSPC' },
  })
  expect(await json({ error: full }, {}, 'fatal')).toMatchObject({ error: { stack: full.stack } })
  expect(await written('pretty', { error: bug }, {}, 'error')).toMatch(/TypeError: x is not a function[^]*\n {8}at /)
  expect((await written('pretty', { error: full }, {}, 'error')).split('\n')).toEqual([
    expect.stringContaining('error="StorageError: no space left"'),
    '    because of Error: write',
    '',
  ])
})

test('a value that cannot be logged does not prevent the rest from being logged', async () => {
  const circle: Fields = {}
  circle['self'] = circle
  const fields = {
    circle,
    bytes: new Uint8Array(9),
    big: 1n,
    when: new Date(0),
    url: new URL('https://a:b@c/'),
    none: null,
  }
  expect(await json({ ...fields, last: 'end' })).toMatchObject({
    bytes: '(9 bytes)',
    big: '1',
    url: 'https://(credentials)@c/',
    none: null,
    last: 'end',
  })
})
