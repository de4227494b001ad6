import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { LIMIT_RULES, MECHANISMS } from '@postern/engine'
import { variableOf } from '@postern/intake/settings'
import { Failure } from '../src/host/failure.ts'
import { OPTION_NAMES, OPTIONS } from '../src/config/options.ts'
import { flagOf, readSettings } from '../src/config/settings.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'

const HASH = '$scrypt$ln=15,r=8,p=3$4YTqTdE/4clKm9WM3oh3jQ$3clBD35RSntheE0qw6WwIrkSqNanvg4x+RcvrrCwPl4'

function configFile(text: string): string {
  const path = join(temporaryDirectory(), 'own.config.ts')
  writeFileSync(path, text)
  return path
}

describe('sources', () => {
  test('a flag overrides the environment, which overrides the file, which overrides the default', async () => {
    const config = configFile(
      "export default { hostname: 'file.example', banner: 'File', maxRecipients: 7, addresses: 'lenient' }",
    )
    const env = { POSTERN_HOSTNAME: 'env.example', POSTERN_BANNER: 'Env', POSTERN_MAX_RECIPIENTS: '8' }
    const { options, file } = await readSettings({ config, hostname: 'flag.example', banner: 'Flag' }, env)
    expect(options).toMatchObject({ hostname: 'flag.example', banner: 'Flag', maxRecipients: 8, addresses: 'lenient' })
    expect(options.bareLineEndings).toBe('reject')
    expect(file).toBe(config)
  })

  test('a switch can be turned off again by a flag', async () => {
    const config = configFile('export default { debug: true, selfSigned: true }')
    const { options } = await readSettings({ config, debug: false }, { POSTERN_SELF_SIGNED: 'no' })
    expect(options).toMatchObject({ debug: false, selfSigned: false })
  })

  test('POSTERN_CONFIG names the file, --config overrides it', async () => {
    const one = configFile("export default { hostname: 'one.example' }")
    const other = configFile("export default { hostname: 'other.example' }")
    expect((await readSettings({}, { POSTERN_CONFIG: one })).options.hostname).toBe('one.example')
    expect((await readSettings({ config: other }, { POSTERN_CONFIG: one })).options.hostname).toBe('other.example')
  })

  test('an empty variable is ignored, and so are the variables of a Kubernetes service', async () => {
    const env = { POSTERN_HOSTNAME: ' ', POSTERN_SERVICE_HOST: '10.0.0.1', POSTERN_PORT_25_TCP: 'tcp://10.0.0.1:25' }
    expect((await readSettings({ hostname: 'a.example' }, env)).options.hostname).toBe('a.example')
  })

  test('a list is a repeated flag, words of a variable, or an array or one value in the file', async () => {
    const urls = ['smtp://127.0.0.1:1', 'smtp://[::1]:2']
    const one = await readSettings({ listen: urls }, {})
    const two = await readSettings({}, { POSTERN_LISTEN: `${urls[0]}\n  ${urls[1]}` })
    const three = await readSettings({ config: configFile(`export default { listen: ${JSON.stringify(urls)} }`) }, {})
    for (const { options } of [one, two, three]) expect(options.listen.map(({ url }) => url)).toEqual(urls)
    const four = await readSettings({ config: configFile(`export default { listen: '${urls[1]}' }`) }, {})
    expect(four.options.listen).toEqual([
      {
        url: urls[1],
        scheme: 'smtp',
        protocol: 'smtp',
        implicitTls: false,
        submission: false,
        policy: {},
        host: '::1',
        port: 2,
        path: undefined,
      },
    ])
  })

  test('front secrets have commas or blanks between them, as in the Worker', async () => {
    const secrets = ['1'.repeat(32), '2'.repeat(32)]
    for (const value of [secrets.join(','), secrets.join(' ')]) {
      const { options } = await readSettings({}, { POSTERN_FRONT_SECRET: value })
      expect(options.frontSecret).toEqual(secrets)
    }
  })

  test('sizes and times are read in every source, and hooks are used unchanged', async () => {
    const config = configFile("export default { idleTimeoutMs: '2m', maxDrainBytes: 5, handlers: { rcpt() {} } }")
    const { options } = await readSettings({ config, maxMessageBytes: '10MB' }, { POSTERN_DATA_TIMEOUT_MS: '1500ms' })
    expect(options).toMatchObject({
      idleTimeoutMs: 120_000,
      maxDrainBytes: 5,
      maxMessageBytes: 10_000_000,
      dataTimeoutMs: 1500,
    })
    expect(options.handlers.rcpt).toBeTypeOf('function')
  })

  test('every limit of the engine is an option with the engine’s default', async () => {
    const { options } = await readSettings({}, {})
    for (const [name, rule] of Object.entries(LIMIT_RULES)) {
      expect(options).toHaveProperty(name, rule.byDefault)
      expect(OPTIONS[name as keyof typeof LIMIT_RULES].help).not.toBe('')
    }
  })

  test('every mechanism of the engine may be offered, and by default those that the users can log in with', async () => {
    expect((await readSettings({}, {})).options.authMechanisms).toBeUndefined()
    for (const name of Object.keys(MECHANISMS)) {
      expect((await readSettings({ authMechanisms: [name] }, {})).options.authMechanisms).toEqual([name])
    }
  })

  test('names are derived: camelCase, --kebab-case, POSTERN_SNAKE_CASE', () => {
    expect(flagOf('minDataBytesPerSecond')).toBe('--min-data-bytes-per-second')
    expect(variableOf('minDataBytesPerSecond')).toBe('POSTERN_MIN_DATA_BYTES_PER_SECOND')
    expect(new Set(OPTION_NAMES.map(variableOf)).size).toBe(OPTION_NAMES.length)
  })
})

describe('mistakes in the file', () => {
  test.each([
    [
      'an unknown key',
      'export default { hostnam: 1 }',
      /^hostnam in .*own\.config\.ts: there is no such option; did you mean hostname\?$/,
    ],
    [
      'a wrong value',
      "export default { maxRecipients: 'many' }",
      /^maxRecipients in .*: "many" is not a whole number from 1 to 1000000$/,
    ],
    [
      'a wrong element',
      "export default { listen: ['smtp://*:1', 'ftp://x'] }",
      /^listen in .*: "ftp:\/\/x" is not a URL such as/,
    ],
    ['an empty list', 'export default { listen: [] }', /^listen in .*: \[\] is not a list with at least one element$/],
    [
      'an unknown hook',
      'export default { handlers: { recipient() {} } }',
      /^handlers\.recipient in .*: there is no such hook; the hooks are connect, secure, .*error$/,
    ],
    [
      'a hook whose name is misspelt',
      'export default { handlers: { connect() {}, rctp() {} } }',
      /^handlers\.rctp in .*: there is no such hook; did you mean rcpt\?; the hooks are connect, /,
    ],
    [
      'a hook that is no function',
      'export default { handlers: { rcpt: 550 } }',
      /^handlers\.rcpt in .*own\.config\.ts: 550 is not a function$/,
    ],
    [
      'hooks that are none',
      'export default { handlers: [] }',
      /^handlers in .*: \[\] is not an object of functions called connect,/,
    ],
    [
      'a guard without a name',
      'export default { guards: [{ rcpt() {} }] }',
      /^guards in .*: an object is not an object with a name of up to 32 letters, .* functions called connect, .*refused$/,
    ],
    [
      'a guard whose name cannot be in a log',
      "export default { guards: { name: 'a\\nb', rcpt() {} } }",
      /^guards in .*: an object is not an object with a name/,
    ],
    [
      'a guard with a misspelt hook',
      "export default { guards: [{ name: 'mine', rcpt() {}, recipient() {} }] }",
      /^guards in .*: an object is not an object with a name/,
    ],
    [
      'a guard of a class with a hook for messages',
      "class Mine { name = 'mine'; rcpt() {} data() {} }; export default { guards: [new Mine()] }",
      /^guards in .*: an object is not an object with a name/,
    ],
    [
      'a guard without hooks',
      "export default { guards: [{ name: 'mine' }] }",
      /^guards in .*: an object is not an object with a name/,
    ],
    [
      'a hook of a guard that is no function',
      "export default { guards: [{ name: 'mine', mail() {}, rcpt: true }] }",
      /^guards in .*: an object is not an object with a name/,
    ],
    [
      'an object that is not a store',
      'export default { store: {} }',
      /^store in .*: an object is not a store URL such as fs:\.\/mail/,
    ],
    ['no default export', 'export const config = {}', /own\.config\.ts: has no default export of options/],
    [
      'an object with the parts of a store URL',
      "export default { store: { scheme: 'gcs', url: 'gcs://bucket', path: '' } }",
      /^store in .*: an object is not a store URL such as fs:\.\/mail/,
    ],
    [
      'a missing module',
      "import 'no-such-package'\nexport default {}",
      /own\.config\.ts(:1)?: Cannot find package 'no-such-package'/,
    ],
  ])('%s', async (_, text, message) => {
    const failure = await readSettings({ config: configFile(text) }, {}).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(Failure)
    expect((failure as Failure).message).toMatch(message)
    expect((failure as Failure).message).not.toContain('\n')
    expect((failure as Failure).exitCode).toBe(2)
  })
})

/** Arguments, environment, and the whole line on stderr. */
const MISTAKES: readonly [string, readonly string[], Readonly<Record<string, string>>, RegExp][] = [
  ['a command', ['srve'], {}, /^postern: unknown command 'srve' \(Did you mean serve\?\); see: postern --help$/],
  ['a flag', ['serve', '--listn', 'x'], {}, /^postern: unknown option '--listn' \(Did you mean --listen\?\)/],
  ['a flag of another command', ['list', '--listen', 'x'], {}, /^postern: unknown option '--listen'/],
  ['a missing value', ['serve', '--store'], {}, /^postern: option '--store <url>' argument missing/],
  ['an argument too many', ['serve', 'now'], {}, /^postern: too many arguments for 'serve'/],
  ['a missing argument', ['show'], {}, /^postern: missing required argument 'id'/],
  [
    'a variable',
    ['serve'],
    { POSTERN_STOR: 'memory:' },
    /^postern: POSTERN_STOR: there is no such option; did you mean POSTERN_STORE\?$/,
  ],
  [
    'a variable of the file’s own',
    ['serve'],
    { POSTERN_HANDLERS: 'x' },
    /^postern: POSTERN_HANDLERS: there is no such option/,
  ],
  [
    'a URL',
    ['serve', '--listen', 'smtp://'],
    {},
    /^postern: --listen: "smtp:\/\/" is not a URL such as smtp:\/\/127\.0\.0\.1:2525/,
  ],
  ['a port', ['serve', '--listen', 'smtp://h:99999'], {}, /^postern: --listen: "smtp:\/\/h:99999" is not a URL/],
  [
    'a store',
    ['serve', '--store', 'mail'],
    {},
    /^postern: --store: "mail" is not a store URL such as fs:\.\/mail, maildir:\.\/mail, .* or memory:$/,
  ],
  [
    'a store of an unknown scheme',
    ['serve'],
    { POSTERN_STORE: 'gcs://bucket/mail' },
    /^postern: POSTERN_STORE: "gcs:\/\/bucket\/mail" is not a store URL such as fs:\.\/mail, .* or memory:$/,
  ],
  [
    'a store without a directory',
    ['serve', '--store', 'maildir:'],
    {},
    /^postern: --store: "maildir:" is not a store URL such as fs:\.\/mail, .* or memory:$/,
  ],
  [
    'a size',
    ['serve', '--max-message-bytes', '10Q'],
    {},
    /^postern: --max-message-bytes: "10Q" is not a size from 1B to 8192TiB, such as 25MiB$/,
  ],
  [
    'a size of none',
    ['serve'],
    { POSTERN_MAX_MESSAGE_BYTES: '0' },
    /^postern: POSTERN_MAX_MESSAGE_BYTES: "0" is not a size/,
  ],
  [
    'a time',
    ['serve', '--idle-timeout-ms', '5 parsecs'],
    {},
    /^postern: --idle-timeout-ms: "5 parsecs" is not a time from 1ms to 24\.8d, such as 30s$/,
  ],
  [
    'a number',
    ['serve', '--max-recipients', '1.5'],
    {},
    /^postern: --max-recipients: "1.5" is not a whole number from 1 to 1000000$/,
  ],
  [
    'a size that is too large',
    ['serve', '--max-auth-line-octets', '1MiB'],
    {},
    /^postern: --max-auth-line-octets: "1MiB" is not a size from 512B to 64KiB, such as 4KiB$/,
  ],
  [
    'a time that is too long',
    ['serve', '--greeting-delay-ms', '2m'],
    {},
    /^postern: --greeting-delay-ms: "2m" is not a time from 0 to 1m, such as 30s$/,
  ],
  [
    'a time that may be Infinity',
    ['serve', '--keep-age-ms', '5s'],
    {},
    /^postern: --keep-age-ms: "5s" is not a time from 1m, such as 30d, or Infinity$/,
  ],
  ['a switch', ['serve'], { POSTERN_DEBUG: 'maybe' }, /^postern: POSTERN_DEBUG: "maybe" is not true or false$/],
  [
    'a word',
    ['serve', '--log-level', 'loud'],
    {},
    /^postern: --log-level: "loud" is not one of trace, debug, info, warning, error, fatal$/,
  ],
  [
    'a mechanism',
    ['serve', '--auth-mechanisms', 'PLAIN', '--auth-mechanisms', 'DIGEST-MD5'],
    {},
    /^postern: --auth-mechanisms: "DIGEST-MD5" is not one of EXTERNAL, SCRAM-SHA-256-PLUS, .*, PLAIN, LOGIN$/,
  ],
  [
    'a hostname',
    ['serve', '--hostname', 'a b'],
    {},
    /^postern: --hostname: "a b" is not a domain or an address literal/,
  ],
  [
    'a hostname that only the engine refuses',
    ['serve', '--hostname', '-', '--store', 'memory:', '--listen', 'smtp://127.0.0.1:0'],
    {},
    /^postern: --hostname: "-" is not a domain or an address literal/,
  ],
  [
    'a keyword',
    ['serve', '--disabled', 'FOO', '--store', 'memory:', '--listen', 'smtp://127.0.0.1:0'],
    {},
    /^postern: --disabled: "FOO" is not one of PIPELINING, /,
  ],
  [
    'a format',
    ['export', '--format', 'zip'],
    {},
    /^postern: option '--format <format>' argument 'zip' is invalid. Allowed choices are mbox, maildir, jsonl/,
  ],
  ['no format', ['export'], {}, /^postern: required option '--format <format>' not specified/],
  ['a config file', ['serve', '--config', 'none.ts'], {}, /^postern: --config none\.ts: there is no such file$/],
  [
    'a user without a hash',
    ['serve', '--users', 'ann:secret'],
    {},
    /^postern: --users: the value \(not shown\) is not name:hash/,
  ],
  [
    'a key without a certificate',
    ['serve', '--tls-key', 'k.pem'],
    {},
    /^postern: --tls-key: needs its certificate: give --tls-cert$/,
  ],
  [
    'a certificate without a key',
    ['serve'],
    { POSTERN_TLS_CERT: 'c.pem' },
    /^postern: POSTERN_TLS_CERT: needs its key: give --tls-key$/,
  ],
  [
    'two certificates',
    ['serve', '--tls-key', 'k', '--tls-cert', 'c', '--self-signed'],
    {},
    /^postern: --self-signed and --tls-cert: both give a certificate; remove one$/,
  ],
  [
    'a certificate file',
    ['serve', '--tls-key', 'k.pem', '--tls-cert', 'c.pem'],
    {},
    /^postern: --tls-(key|cert) [kc]\.pem: .*there is no such file/,
  ],
  [
    'TLS required without a certificate',
    ['serve', '--tls-required'],
    {},
    /^postern: --tls-required: needs a certificate: give --tls-key and --tls-cert, or --self-signed$/,
  ],
  [
    'AUTH required without users',
    ['serve', '--auth-required', '--self-signed'],
    {},
    /^postern: --auth-required: needs a user who may send: give --users, or run postern user add$/,
  ],
  [
    'users without TLS',
    ['serve', '--users', `ann:${HASH}`],
    {},
    /^postern: --users: needs a certificate: .* --auth-without-tls to allow passwords without encryption/,
  ],
  [
    'smtps without a certificate',
    ['serve', '--listen', 'smtps://127.0.0.1:0'],
    {},
    /^postern: --listen smtps:\/\/127\.0\.0\.1:0: needs a certificate/,
  ],
  [
    'submission without users',
    ['serve', '--listen', 'submission://127.0.0.1:0', '--self-signed'],
    {},
    /^postern: --listen submission:\/\/127\.0\.0\.1:0: needs a user who may send: give --users, or run postern user add$/,
  ],
  [
    'submission without a certificate',
    ['serve', '--listen', 'submission://127.0.0.1:0'],
    {},
    /^postern: --listen submission:\/\/127\.0\.0\.1:0: needs a certificate/,
  ],
  [
    'an invalid limit of a list',
    ['list', '--limit', 'all', '--store', 'fs:.'],
    {},
    /^postern: --limit: "all" is not a whole number from 1/,
  ],
  [
    'a list of a memory: store',
    ['list', '--store', 'memory:'],
    {},
    /^postern: --store memory: keeps mail only in the running server/,
  ],
  [
    'a list without a store',
    ['list'],
    {},
    /^postern: fs:\.\/mail: there is no such directory; name the store with --store, or run postern serve first$/,
  ],
]

describe('a mistake is one line on stderr and exit code 2', () => {
  test.concurrent.each(sample(MISTAKES, 4))('%s', async (_, args, env, line) => {
    const { code, stdout, stderr } = await postern(args, { env })
    expect(stderr.trimEnd()).toMatch(line)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(stdout).toBe('')
    expect(code).toBe(2)
  })

  test.concurrent('also in postern.config.ts of the working directory', async () => {
    const cwd = temporaryDirectory()
    writeFileSync(join(cwd, 'postern.config.ts'), 'export default { maxRecipient: 5 }')
    const { code, stderr } = await postern(['serve'], { cwd })
    expect(stderr).toBe(
      'postern: maxRecipient in postern.config.ts: there is no such option; did you mean maxRecipients?\n',
    )
    expect(code).toBe(2)
  })

  test.concurrent('also for two guards of one name', async () => {
    const cwd = temporaryDirectory()
    const guard = "{ name: 'mine', rcpt() {} }"
    writeFileSync(join(cwd, 'postern.config.ts'), `export default { guards: [${guard}, ${guard}] }`)
    const { code, stderr } = await postern(['serve'], { cwd })
    expect(stderr).toBe('postern: guards in postern.config.ts: two are called "mine"; rename one\n')
    expect(code).toBe(2)
  })

  test.concurrent('and contains no secret', async () => {
    const env = { POSTERN_TLS_PASSPHRASE: 'hunter2', POSTERN_USERS: 'ann:hunter2' }
    const { stderr } = await postern(['serve', '--users', 'bob:hunter3'], { env })
    expect(stderr).toMatch(/^postern: POSTERN_USERS: /)
    expect(stderr).not.toMatch(/hunter/)
  })
})

test('defineConfig of @postern/server/config gives the options unchanged', async () => {
  const cwd = join(import.meta.dirname, '..', 'node_modules', '.config-test')
  mkdirSync(cwd, { recursive: true })
  onTestFinished(() => rmSync(cwd, { recursive: true }))
  const config = join(cwd, 'postern.config.ts')
  writeFileSync(
    config,
    "import { defineConfig } from '@postern/server/config'\nexport default defineConfig({ maxRecipients: 9 })\n",
  )
  expect((await readSettings({ config }, {})).options.maxRecipients).toBe(9)
})
