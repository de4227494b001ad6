/** The config file: as a module, as a function, as JSON, and its mistakes, on each runtime. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { OTHER_USER } from '../../../test/kit/abilities.ts'
import { testWith } from '../../../test/kit/need.ts'
import { copyEngine } from '../../../test/kit/second-copy.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { configContext } from '../src/config/file/context.ts'
import { readConfigFile } from '../src/config/file/config-file.ts'
import { type ConfigFunction, defineConfig } from '../src/config/config.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { MAIN, postern, run, type Postern, serve } from '../../../test/kit/postern.ts'
import { chance, sample } from '../../../test/kit/sample.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'
import { listed } from './mail.ts'

const TIMEOUT_MS = 60_000

/** Writes a file into a folder that has no package of ours, nor any other. @returns its path */
function written(name: string, text: string | Uint8Array): string {
  const path = join(temporaryDirectory(), name)
  writeFileSync(path, text)
  return path
}

/** Hooks that refuse at one stage each, whichever `reply` they have. */
const REFUSING = `{
  store: 'fs:./mail',
  authWithoutTls: true,
  handlers: {
    connect: (session) => session.remote.address === '192.0.2.1' ? reply(554, '5.7.1', 'Not you') : undefined,
    hello: (hello) => hello.name === 'bad.example' ? reply(550, '5.7.2', 'Not so') : undefined,
    mail: (path) => path.localPart === 'bad' ? reply(550, '5.7.3', 'Not from there') : undefined,
    rcpt: async (path) => path.localPart === 'bad' ? reply(550, '5.7.4', 'Not to there') : undefined,
    async data(message) {
      if (message.envelope.reversePath.localPart !== 'heavy') return
      await message.bytes()
      return reply(554, '5.7.5', 'Not that')
    },
    authenticate: ({ username }) => username === 'ann' ? { user: 'ann' } : reply(535, '5.7.6', 'Not known'),
  },
}`

/** Asks the server for a refusal at each stage. @returns the codes */
async function refusals(running: Postern): Promise<string[]> {
  const client = await SocketClient.connect(running.ports[0] ?? 0)
  const answers = [await client.reply()]
  const auth = (name: string): string => `AUTH PLAIN ${Buffer.from(`\0${name}\0x`).toString('base64')}`
  for (const line of [
    'EHLO bad.example',
    'EHLO good.example',
    auth('bob'),
    auth('ann'),
    'MAIL FROM:<bad@example.com>',
  ]) {
    answers.push(await client.command(line))
  }
  for (const line of [
    'MAIL FROM:<heavy@example.com>',
    'RCPT TO:<bad@example.com>',
    'RCPT TO:<b@example.com>',
    'DATA',
  ]) {
    answers.push(await client.command(line))
  }
  answers.push(await client.command('Subject: Hello\r\n\r\nHello.\r\n.'), await client.command('QUIT'))
  return answers.map(({ text }) => /\d{3} (?:\d\.\d\.\d)?/.exec(text.split('\n').at(-1) ?? '')?.[0] ?? text)
}

const REFUSALS = [
  '220 ',
  '550 5.7.2',
  '250 ',
  '535 5.7.6',
  '235 2.7.0',
  '550 5.7.3',
  '250 2.1.0',
  '550 5.7.4',
  '250 2.1.5',
  '354 ',
  '554 5.7.5',
  '221 2.0.0',
]

describe.each(sample(RUNTIME_NAMES, 1, 1))('on %s', (runtime) => {
  const command = RUNTIMES[runtime]

  test.concurrent(
    'a file that imports a copy of the engine of its own refuses with its own replies',
    { timeout: TIMEOUT_MS },
    async () => {
      const folder = temporaryDirectory()
      const engine = await copyEngine(folder)
      const config = join(folder, 'own.config.ts')
      writeFileSync(config, `import { reply } from ${JSON.stringify(engine)}\nexport default ${REFUSING}`)
      const running = await serve(['--config', config], { command })
      expect(await refusals(running)).toEqual(REFUSALS)
      expect(running.stderr).not.toMatch(/invalid answer|threw/)
    },
  )

  test.concurrent(
    'a file that exports a function is handed reply, with one worker and with two',
    { timeout: TIMEOUT_MS },
    async () => {
      const config = written(
        'own.config.mjs',
        `export default async ({ reply, env }) => ({ banner: env.BANNER, ...${REFUSING} })`,
      )
      for (const workers of sample(['1', '2'], 1)) {
        const running = await serve(['--config', config, '--workers', workers], { command, env: { BANNER: 'handed' } })
        const client = await SocketClient.connect(running.ports[0] ?? 0)
        expect((await client.reply()).text).toMatch(/^220 \S+ ESMTP handed$/)
        expect(await refusals(running)).toEqual(REFUSALS)
        running.signal('SIGTERM')
        client.end()
        expect(await running.ended).toBe(0)
      }
    },
  )

  test.concurrent('a JSON file has every option that is data', { timeout: TIMEOUT_MS }, async () => {
    const cwd = temporaryDirectory()
    const config = { banner: 'of JSON', maxRecipients: 1, disabled: ['DSN'], idleTimeoutMs: '1m', workers: 2 }
    writeFileSync(join(cwd, 'postern.config.json'), `\ufeff${JSON.stringify(config)}\n`)
    const running = await serve([], { cwd, command })
    const client = await SocketClient.connect(running.ports[0] ?? 0)
    expect((await client.reply()).text).toMatch(/^220 \S+ ESMTP of JSON$/)
    expect((await client.command('EHLO client.example')).text).not.toMatch(/DSN/)
    await client.command('MAIL FROM:<a@example.com>')
    await client.command('RCPT TO:<b@example.com>')
    expect((await client.command('RCPT TO:<c@example.com>')).text).toMatch(/^452 /)
  })

  test.concurrent('a syntax error tells its line', { timeout: TIMEOUT_MS }, async () => {
    const mistakes: [string, string, RegExp][] = [
      ['own.js', 'export default {\n  banner: "x",\n  maxRecipients = 5,\n}\n', /own\.js:3: /],
      ['own.ts', 'export default {\n  banner: "x",\n  limits: 5 5,\n}\n', /own\.ts:3: /],
      ['own.mjs', '\n\nthrow new Error("no such machine")\n', /own\.mjs:3: no such machine$/],
      ['f.js', 'export default () => {\n  throw new Error("no such machine")\n}\n', /f\.js:2: no such machine$/],
      ['own.json', '{\n  "banner": "x",\n}\n', /own\.json:3: it is not JSON; there must be a key in double quotes$/],
    ]
    for (const [name, text, line] of sample(mistakes, 2)) {
      const { code, stdout, stderr } = await postern(['serve', '--config', written(name, text)], { command })
      expect(stderr.trimEnd()).toMatch(line)
      expect(stderr.trimEnd().split('\n')).toHaveLength(1)
      expect([stdout, code]).toEqual(['', 2])
    }
  })

  test.concurrent('a file that can’t be read is one line', { timeout: TIMEOUT_MS }, async () => {
    const folder = temporaryDirectory()
    mkdirSync(join(folder, 'sub.ts'))
    writeFileSync(join(folder, 'latin1.json'), Buffer.from('{ "banner": "\xe4" }', 'latin1'))
    writeFileSync(join(folder, 'empty.json'), ' \n')
    writeFileSync(join(folder, 'list.json'), '[]')
    writeFileSync(join(folder, 'large.json'), ' '.repeat(1024 * 1024 + 1))
    const mistakes: [string, string][] = [
      ['none.ts', '--config none.ts: there is no such file'],
      ['list.json/x.ts', '--config list.json/x.ts: a part of its path is not a directory'],
      ['sub.ts', '--config sub.ts: it is not a regular file; name a config file'],
      ['latin1.json', '--config latin1.json: it is not UTF-8'],
      ['large.json', '--config large.json: it has 1048577 bytes, too many for a config file'],
      ['empty.json', 'empty.json: the file is empty; write: { "store": "fs:./mail" }'],
      ['list.json', 'list.json: is not an object of options; write: { "store": "fs:./mail" }'],
    ]
    for (const [name, line] of sample(mistakes, 3)) {
      const { code, stderr } = await postern(['serve', '--config', name], { cwd: folder, command })
      expect([stderr, code]).toEqual([`postern: ${line}\n`, 2])
    }
  })
})

test.concurrent.each([
  ['a function', 'export default () => new Promise(() => {})'],
  ['a top-level await', 'await new Promise(() => {})\nexport default {}'],
])('%s that never settles is one line', async (_, text) => {
  const path = written('own.mjs', text)
  await expect(readConfigFile(path, '--config', {}, 50)).rejects.toThrow(
    `${path}: it did not give its options within 50ms; a promise in it does not settle`,
  )
})

const GIVEN: readonly (readonly [string, string, RegExp])[] = [
  ['null', 'throw null', /own\.mjs: null$/],
  ['an object without a text', 'throw Object.create(null)', /own\.mjs: an error without a text$/],
  [
    'a Proxy whose trap throws',
    'return new Proxy({}, { ownKeys() { throw new Error("a trap") } })',
    /own\.mjs:1: a trap$/,
  ],
  ['a getter that throws', 'return { get store() { throw new Error("a getter") } }', /own\.mjs:1: a getter$/],
]
test.concurrent.each(sample(GIVEN, 2))(
  'a function that gives %s is one line',
  { timeout: TIMEOUT_MS },
  async (_, body, line) => {
    const { code, stderr } = await postern([
      'serve',
      '--config',
      written('own.mjs', `export default () => { ${body} }`),
    ])
    expect(stderr.trimEnd()).toMatch(line)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(code).toBe(2)
  },
)

test.concurrent('a hook that throws or returns an unreadable object is 451, and the log names it', async () => {
  const config = written(
    'own.mjs',
    `
    const brand = { [Symbol.for('postern.reply')]: true }
    const no = (text) => { throw new Error(text) }
    const hooks = {
      null: () => { throw null },
      object: () => { throw Object.create(null) },
      message: () => { throw Object.defineProperty(new Error('x'), 'message', { get: () => no('in message') }) },
      code: () => Object.create(brand, { code: { get: () => no('in code') } }),
      proxy: () => new Proxy({}, { get: (_, name) => name === 'then' ? undefined : no('in proxy') }),
      then: () => ({ get then() { return no('in then') } }),
    }
    export default { handlers: { mail: ({ localPart }) => hooks[localPart]?.() } }`,
  )
  const running = await serve(['--config', config])
  const client = await SocketClient.ready(running.port)
  for (const name of ['null', 'object', 'message', 'code', 'proxy', 'then']) {
    expect((await client.command(`MAIL FROM:<${name}@example.com>`)).text).toMatch(/^451 4\.3\.0 /)
  }
  running.signal('SIGTERM')
  client.end()
  expect(await running.ended).toBe(0)
  const messages = running.stderr.split('\n').filter((line) => line.includes('"ERROR"'))
  const [threw = 0, gave = 0] = ['threw', 'gave an invalid answer'].map((text) =>
    messages
      .map((line) => JSON.parse(line) as { message: string; times?: number })
      .filter(({ message }) => message.startsWith(`handlers.mail ${text}`))
      .reduce((sum, { times = 1 }) => sum + times, 0),
  )
  expect([threw, gave]).toEqual([4, 2])
  expect(running.stderr).not.toContain('the session failed')
})

testWith([OTHER_USER], 'a file of another user is one line', async () => {
  const config = written('own.json', '{}')
  chmodSync(config, 0)
  const { code, stderr } = await postern(['list', '--config', config], { uid: 12_345, cwd: '/' })
  expect([stderr, code]).toEqual([`postern: --config ${config}: this user may not read it\n`, 2])
})

test.concurrent('a plain object or a Refusal that would accept is 451, the log says what to return, and no message is kept', async () => {
  const config = written(
    'own.mjs',
    `export default ({ reply, Refusal }) => ({ handlers: {
      rcpt({ localPart }) {
        if (localPart === 'object') return { code: 550, text: 'No' }
        if (localPart === 'accepting') throw new Refusal(reply(250, '2.1.5', 'OK'))
      },
      data: () => ({ code: 550, text: 'No' }),
    } })`,
  )
  const running = await serve(['--config', config])
  const client = await SocketClient.ready(running.port)
  await client.command('MAIL FROM:<a@example.com>', 250)
  expect((await client.command('RCPT TO:<object@example.com>')).text).toMatch(/^451 4\.3\.0 /)
  await running.says(
    /"handlers\.rcpt gave an invalid answer".*it is not a valid Reply; return reply\(550, '5\.7\.1', .*which is handed to a config function/,
  )
  expect((await client.command('RCPT TO:<accepting@example.com>')).text).toMatch(/^451 4\.3\.0 /)
  await running.says(/"handlers\.rcpt threw".*a Refusal needs a Reply of 4xx or 5xx/)
  await client.command('RCPT TO:<b@example.com>', 250)
  await client.command('DATA', 354)
  expect((await client.command('Hello.\r\n.')).text).toMatch(/^451 4\.3\.0 /)
  await running.says(/"handlers\.data gave an invalid answer".*it is not a valid Reply/)
  expect((await listed(join(running.cwd, 'mail'))).records).toEqual([])
})

// Bun writes a file of 110 MB for it, so one run in two makes it.
test.concurrent.each(sample(['a binary that Bun has made'], chance(27).below(2)))(
  '%s takes a config file that exports a function',
  { timeout: TIMEOUT_MS },
  async () => {
    const folder = temporaryDirectory()
    const built = await run('bun', [
      'build',
      '--compile',
      MAIN.replace(/js$/, 'ts'),
      '--outfile',
      join(folder, 'postern'),
    ])
    expect(built.code).toBe(0)
    const config = written('own.config.ts', `export default ({ reply }: { reply: Function }) => (${REFUSING})`)
    // The first argument is the program, which the binary holds.
    const command = ['sh', '-c', `shift; exec ${join(folder, 'postern')} "$@"`, 'sh'] as const
    const running = await serve(['--config', config], { command })
    expect(await refusals(running)).toEqual(REFUSALS)
    const broken = await postern(['list', '--config', written('own.ts', 'export default {\n  banner: 5 5,\n}\n')], {
      command,
    })
    expect(broken.stderr).toMatch(/^postern: .*own\.ts:2: [^\n]*\n$/)
    expect(broken.code).toBe(2)
  },
)

test.concurrent('the error of a store of one’s own is known, if another copy of the packages made it too', async () => {
  const config = written(
    'own.mjs',
    `
    class Other extends Error {
      static { Object.defineProperty(this.prototype, Symbol.for('postern.StorageError'), { value: true }) }
      code = 'no-space'
    }
    const none = async () => ({ messages: 0, temporary: 0, bytes: 0 })
    export default ({ StorageError }) => {
      const save = async (message) => {
        await message.read()
        throw message.envelope.reversePath.localPart === 'own' ? new StorageError('no-space', 'full') : new Other('full')
      }
      const list = async () => ({ records: [], corrupt: [], cursor: undefined })
      return { store: { save, list, load: none, delete: none, bounce: none, sweep: none, expire: none } }
    }`,
  )
  const running = await serve(['--config', config])
  const client = await SocketClient.ready(running.ports[0] ?? 0)
  for (const from of ['own', 'other']) {
    for (const line of [`MAIL FROM:<${from}@example.com>`, 'RCPT TO:<b@example.com>', 'DATA'])
      await client.command(line)
    expect((await client.command('Hello.\r\n.')).text).toMatch(/^452 4\.3\.1 /)
  }
})

test('defineConfig gives a config file its types', () => {
  const own = defineConfig(({ reply, env }) => ({
    banner: env['BANNER'] ?? 'none',
    maxMessageBytes: '1TiB',
    handlers: {
      rcpt: (to) => (to.domain === 'example.com' ? undefined : reply(550, '5.7.1', 'Relaying denied')),
      kept: (record, session) => [record.id, session.id],
    },
  })) satisfies ConfigFunction
  expect(own(configContext({ BANNER: 'x' })).banner).toBe('x')
  // @ts-expect-error A misspelt option is an error of the types too.
  expect(defineConfig({ banne: 'x' })).toEqual({ banne: 'x' })
})

test.concurrent(
  'Node says what to do if package.json makes the config file CommonJS',
  { timeout: TIMEOUT_MS },
  async () => {
    for (const name of sample(['postern.config.js', 'postern.config.ts'], 1)) {
      const cwd = temporaryDirectory()
      // `npm init` writes it.
      writeFileSync(join(cwd, 'package.json'), '{ "type": "commonjs" }')
      writeFileSync(join(cwd, name), `export default { store: 'fs:./mail' }\n`)
      const { code, stdout, stderr } = await postern(['serve'], { cwd })
      expect(stderr).toBe(
        `postern: ${name}:1: Unexpected token 'export'; name it postern.config.mjs, or set "type": "module" in package.json\n`,
      )
      expect([stdout, code]).toEqual(['', 2])
    }
  },
)
