/** accounts.json: the commands that edit it, and a server that receives mail for its accounts, on each runtime. */
import {
  chmodSync,
  chownSync,
  lstatSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern, type Result, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

const RECORD = `SCRAM-SHA-256$4096:${'A'.repeat(22)}==$${'A'.repeat(43)}=:${'A'.repeat(43)}=`

/** Writes an accounts file, and returns its directory. */
function directoryWith(data: unknown): string {
  const cwd = temporaryDirectory()
  writeFileSync(join(cwd, 'accounts.json'), typeof data === 'string' ? data : JSON.stringify(data))
  return cwd
}

function dataIn(cwd: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(cwd, 'accounts.json'), 'utf8')) as Record<string, unknown>
}

describe.concurrent('the commands', () => {
  const run = (cwd: string, line: string, input?: string): Promise<Result> =>
    postern(line.split(' '), { cwd, ...(input !== undefined && { input }) })

  test('name no new domain when the edit is refused', async () => {
    const cwd = directoryWith({ domains: ['example.com'] })
    const refused = await run(cwd, 'alias add sales@example.org jane@example.com')
    expect(refused).toMatchObject({
      code: 2,
      stdout: '',
      stderr: 'postern: accounts.json: aliases[0].to[0]: there is no account or alias "jane@example.com"\n',
    })
    expect(dataIn(cwd)['domains']).toEqual(['example.com'])
  })

  test('make a file that only its owner can read, and edit it', async () => {
    const cwd = temporaryDirectory()
    const added = await run(cwd, 'user add jane@example.com', 'tiger\n')
    expect(added).toMatchObject({
      code: 0,
      stdout: 'added jane@example.com\n',
      stderr: 'postern: added the domain example.com\n',
    })
    expect(statSync(join(cwd, 'accounts.json')).mode & 0o777).toBe(0o600)
    const { accounts, domains, secret } = dataIn(cwd)
    expect(domains).toEqual(['example.com'])
    expect(accounts).toEqual([
      { address: 'jane@example.com', password: expect.stringMatching(/^SCRAM-SHA-256\$100000:/) },
    ])
    expect(secret).toMatch(/^[\w-]{32}$/)

    expect(await run(cwd, 'user add bob@example.com --no-password')).toMatchObject({ code: 0 })
    expect(await run(cwd, 'alias add sales@example.com jane@example.com')).toMatchObject({ code: 0 })
    expect(await run(cwd, 'alias add Sales@example.com bob@example.com')).toMatchObject({ code: 0 })
    expect(await run(cwd, 'domain add *.example.org --catch-all bob@example.com')).toMatchObject({ code: 0 })
    expect(await run(cwd, 'user suspend Bob@Example.com')).toMatchObject({ code: 0 })
    expect((await run(cwd, 'user list')).stdout).toBe(
      'jane@example.com  SCRAM\nbob@example.com   no login  suspended\n',
    )
    expect((await run(cwd, 'alias list')).stdout).toBe('sales@example.com  jane@example.com, bob@example.com\n')
    expect(JSON.parse((await run(cwd, 'domain list --json')).stdout)).toEqual([
      { name: 'example.com' },
      { name: '*.example.org', catchAll: 'bob@example.com' },
    ])

    expect(await run(cwd, 'user passwd jane@example.com', 'lion\n')).toMatchObject({ code: 0 })
    expect(await run(cwd, 'user resume bob@example.com')).toMatchObject({ code: 0 })
    expect(await run(cwd, 'alias remove sales@example.com jane@example.com')).toMatchObject({ code: 0 })
    const after = dataIn(cwd)
    expect(after['secret']).toBe(secret)
    expect(after['aliases']).toEqual([{ address: 'sales@example.com', to: ['bob@example.com'] }])
    expect(after['accounts']).toEqual([
      {
        address: 'jane@example.com',
        password: expect.not.stringContaining((accounts as { password: string }[])[0]?.password ?? ''),
      },
      { address: 'bob@example.com' },
    ])
    expect(await run(cwd, 'alias remove sales@example.com')).toMatchObject({ code: 0 })
    expect(await run(cwd, 'domain remove *.example.org')).toMatchObject({ code: 0 })
    expect(await run(cwd, 'user remove bob@example.com')).toMatchObject({ code: 0 })
    expect(dataIn(cwd)).toMatchObject({
      domains: ['example.com'],
      aliases: [],
      accounts: [{ address: 'jane@example.com' }],
    })
  })

  test('edit rules, and show them beside accounts, aliases and domains', async () => {
    const cwd = directoryWith({
      domains: ['example.com'],
      accounts: [{ address: 'jane@example.com' }],
      rules: [{ for: ['old@example.com', 'gone@example.com'], do: 'drop' }],
    })
    const config = { rules: [{ for: 'jane@example.com', do: 'keep' }] }
    writeFileSync(join(cwd, 'postern.config.json'), JSON.stringify(config))
    const note = 'postern: the accounts have a rule that sends mail on, so each server that reads them needs --relay\n'
    expect(await run(cwd, 'rule add Jane@example.com keep forward=jane@far.example')).toMatchObject({
      code: 0,
      stderr: `postern: the config has a rule for Jane@example.com too, and that one decides\n${note}`,
    })
    const added = await run(cwd, 'rule add jane@example.com forward=jane@near.example webhook=https://hook.example/x')
    const [, secret = ''] =
      /^the secret of https:\/\/hook\.example\/x is (whsec_[\w+/]{43}=)$/m.exec(added.stdout) ?? []
    expect(await run(cwd, 'rule remove jane@example.com forward=jane@far.example')).toMatchObject({ code: 0 })
    expect(await run(cwd, 'rule remove gone@example.com')).toMatchObject({
      code: 0,
      stdout: 'removed gone@example.com\n',
    })
    expect(await run(cwd, 'rule add x@example.org refuse')).toMatchObject({
      stderr: `postern: added the domain example.org\n${note}`,
    })
    expect(await run(cwd, 'rule add example.org drop')).toMatchObject({ code: 0 })
    expect(dataIn(cwd)).toMatchObject({
      domains: ['example.com', 'example.org'],
      rules: [
        { for: ['old@example.com'], do: 'drop' },
        {
          for: 'jane@example.com',
          do: ['keep', { forward: 'jane@near.example' }, { webhook: 'https://hook.example/x', secret }],
        },
        { for: 'x@example.org', do: 'refuse' },
        { for: 'example.org', do: 'drop' },
      ],
    })
    const lists = await Promise.all(['rule list', 'user list', 'domain list'].map((line) => run(cwd, line)))
    const jane = 'keep, forward=jane@near.example, webhook=https://hook.example/x'
    expect(lists.map(({ stdout }) => stdout.replaceAll(/ {2,}/g, ' | '))).toEqual([
      `jane@example.com | keep | in the config\nold@example.com | drop\njane@example.com | ${jane}\nx@example.org | refuse\nexample.org | drop\n`,
      `jane@example.com | no login | ${jane}\n`,
      'example.com\nexample.org | drop\n',
    ])
  })

  test('that run at the same time lose nothing', async () => {
    const cwd = directoryWith({ domains: ['example.com'] })
    const names = Array.from({ length: 4 }, (_, n) => `user${n}@example.com`)
    const results = await Promise.all(names.map((name) => run(cwd, `user add ${name} --no-password`)))
    expect(results.map(({ code, stderr }) => ({ code, stderr }))).toEqual(names.map(() => ({ code: 0, stderr: '' })))
    const { accounts } = dataIn(cwd) as { accounts: { address: string }[] }
    expect(accounts.map(({ address }) => address).toSorted()).toEqual(names)
  })

  const FILE = { domains: ['example.com'], accounts: [{ address: 'jane@example.com' }] }
  const MISTAKES: readonly [string, string | undefined, string, number][] = [
    ['user add jane@EXAMPLE.com', 'x\n', 'user add: jane@EXAMPLE.com is there already; use postern user passwd', 2],
    ['user add jane', 'x\n', 'user add: "jane" is not an address such as jane@example.com', 2],
    ['user add bob@example.com', '\n', 'user add: the password is empty; give one', 2],
    [
      'user add bob@example.com',
      'a\u0007b\n',
      'user add: the password has a character that is not allowed (RFC 4013)',
      2,
    ],
    [
      'user add bob@example.com --iterations 1',
      'x\n',
      '--iterations: "1" is not a whole number, from 4096 to 10000000',
      2,
    ],
    [
      'user add bob@example.com --cram-md5',
      'x\n',
      'user add --cram-md5: the password is then stored in clear; give --yes if you want that',
      2,
    ],
    ['user passwd bob@example.com', 'x\n', 'user passwd: there is no account bob@example.com', 1],
    ['user remove', undefined, 'user remove: nothing is not an address such as jane@example.com', 2],
    ['alias add sales@example.com', undefined, 'alias add: give the accounts that get its mail', 2],
    [
      'alias add sales@example.com bob@example.com',
      undefined,
      'accounts.json: aliases[0].to[0]: there is no account or alias "bob@example.com"',
      2,
    ],
    [
      'alias add sales@example.com jane@gmail.example',
      undefined,
      'accounts.json: aliases[0].to[0]: the domain of "jane@gmail.example" is not among `domains`; add it there',
      2,
    ],
    [
      'alias add a@example.com a@example.com',
      undefined,
      'accounts.json: aliases[0]: the alias leads back to itself: a@example.com → a@example.com',
      2,
    ],
    ['alias remove sales@example.com', undefined, 'alias remove: there is no alias sales@example.com', 1],
    [
      'domain remove example.com',
      undefined,
      'accounts.json: accounts[0].address: the domain of "jane@example.com" is not among `domains`; add it there',
      2,
    ],
    [
      'domain add exa_mple..com',
      undefined,
      'domain add: "exa_mple..com" is not a domain such as example.com, or *.example.com for all below it',
      2,
    ],
    [
      'rule add jane@example.com',
      undefined,
      'rule add: give what becomes of its mail, such as forward=jane@example.org',
      2,
    ],
    [
      'rule add jane forward=jane@far.example',
      undefined,
      'accounts.json: rules: "jane" is not among `domains`; add it there',
      2,
    ],
    [
      'rule add jane@example.com mail=x',
      undefined,
      `rule add: "mail=x" is not keep, drop, refuse, refuse='550 5.7.1 No mail here', forward=jane@example.org, lmtp=lmtp://host or webhook=https://host/path`,
      2,
    ],
    [
      'rule add jane@example.com forward=jane@example.com',
      undefined,
      'accounts.json: rules[0].do: the forward leads back to itself: jane@example.com → jane@example.com',
      2,
    ],
    ['rule remove jane@example.com', undefined, 'rule remove: there is no rule for jane@example.com', 1],
    ['user list --accounts none/accounts.json', undefined, '', 0],
  ]
  test.each(sample(MISTAKES, 2))('%s: one line, and nothing is changed', async (line, input, message, exitCode) => {
    const cwd = directoryWith(FILE)
    const { code, stderr } = await run(cwd, line, input)
    expect({ code, stderr }).toEqual({ code: exitCode, stderr: message === '' ? '' : `postern: ${message}\n` })
    expect(dataIn(cwd)).toEqual(FILE)
  })
})

test('a command replaces the file that a symbolic link names, and keeps the link', async () => {
  const cwd = directoryWith({ domains: ['a.example'] })
  const [link, real] = [join(cwd, 'accounts.json'), join(cwd, 'real.json')]
  renameSync(link, real)
  symlinkSync('real.json', link)
  expect(await postern(['domain', 'add', 'b.example'], { cwd })).toMatchObject({ code: 0 })
  expect(lstatSync(link).isSymbolicLink()).toBe(true)
  expect(JSON.parse(readFileSync(real, 'utf8'))).toMatchObject({ domains: ['a.example', 'b.example'] })
})

test.skipIf(process.getuid?.() !== 0)('the file keeps its owner and its rights when root changes it', async () => {
  const cwd = directoryWith({ domains: ['a.example'] })
  const path = join(cwd, 'accounts.json')
  chmodSync(path, 0o640)
  chownSync(path, 65_534, 65_534)
  expect(await postern(['domain', 'add', 'b.example'], { cwd })).toMatchObject({ code: 0 })
  const { mode, uid, gid } = statSync(path)
  expect([mode & 0o777, uid, gid]).toEqual([0o640, 65_534, 65_534])
})

const WRONG_FILES: readonly (readonly [string, unknown, string])[] = [
  ['not JSON', '{', 'accounts.json:1: it is not JSON; there must be a key'],
  // `JSON.parse` quotes what it does not understand.
  [
    'a secret without quotes',
    '{"accounts":\n[{"secret": tiger}]}',
    'accounts.json:2: it is not JSON; there must be a value',
  ],
  ['a misspelt field', { acounts: [] }, 'accounts.json: acounts: there is no such field; '],
  [
    'a password in place of its record',
    { domains: ['a.example'], accounts: [{ address: 'a@a.example', password: 'tiger' }] },
    'accounts.json: accounts[0].password of "a@a.example": the value (not shown) is not ',
  ],
]
test.each(sample(WRONG_FILES, 2))('a server does not start with %s in its accounts', async (_, data, message) => {
  const { code, stderr } = await postern(['serve', '--store=memory:'], { cwd: directoryWith(data) })
  expect(code).toBe(2)
  expect(stderr.split('\n')).toHaveLength(2)
  expect(stderr).toContain(`postern: ${message}`)
  expect(stderr).not.toContain('tiger')
})

test.each(sample(RUNTIME_NAMES, 1))(
  'a server on %s receives for accounts, and takes changes of the file',
  async (name) => {
    const file = {
      domains: ['example.com', { name: 'example.org', catchAll: 'jane@example.com' }],
      accounts: [
        { address: 'jane@example.com', password: RECORD },
        { address: 'off@example.com', suspended: true },
      ],
      aliases: [{ address: 'sales@example.com', to: 'jane@example.com' }],
      rules: [{ for: 'gone@example.com', do: { refuse: '550 5.1.6 This address has moved' } }],
    }
    const cwd = directoryWith(file)
    const listen = ['--listen=smtp://127.0.0.1:0', '--store=maildir:mail?create=any', '--log-format=json']
    const running = await serve(listen, { cwd, command: RUNTIMES[name] })
    const client = await SocketClient.ready(running.port)
    const say = async (line: string): Promise<string> => (await client.command(line)).text.slice(0, 9)
    expect(await say('MAIL FROM:<a@sender.example>')).toBe('250 2.1.0')
    const answers: Record<string, string> = {}
    for (const address of [
      'Jane+x@example.com',
      'sales@EXAMPLE.com',
      'x@example.org',
      'off@example.com',
      'bob@example.com',
      'gone@example.com',
      'jane@example.net',
    ]) {
      answers[address] = await say(`RCPT TO:<${address}>`)
    }
    expect(answers).toEqual({
      'Jane+x@example.com': '250 2.1.5',
      'sales@EXAMPLE.com': '250 2.1.5',
      'x@example.org': '250 2.1.5',
      'off@example.com': '550 5.2.1',
      'bob@example.com': '550 5.1.1',
      'gone@example.com': '550 5.1.6',
      'jane@example.net': '550 5.7.1',
    })
    expect(await say('VRFY jane@example.com')).toBe('252 2.5.0')
    expect(await say('EXPN sales@example.com')).toBe('502 5.5.1')
    expect(await say('DATA')).toBe('354 End d')
    expect(await say('Subject: x\r\n\r\nx\r\n.')).toBe('250 2.0.0')

    const listed = await postern(['list', '--json', '--store=maildir:mail'], { cwd })
    const [record] = (JSON.parse(listed.stdout) as { records: { forwardPaths: object[]; maildir: object }[] }).records
    expect(record?.forwardPaths).toMatchObject([
      { address: 'Jane+x@example.com', accounts: ['jane@example.com'] },
      { address: 'sales@EXAMPLE.com', accounts: ['jane@example.com'] },
      { address: 'x@example.org', accounts: ['jane@example.com'] },
    ])
    expect(record?.maildir).toMatchObject({ mailboxes: ['example.com/jane'] })

    // A broken file keeps the old accounts.
    writeFileSync(join(cwd, 'accounts.json'), '{')
    await running.says(
      /"level":"ERROR","message":"accounts could not be read again; the server keeps the old ones".*"reason":"accounts.json:1: it is not JSON/,
    )
    expect(await say('MAIL FROM:<a@sender.example>')).toBe('250 2.1.0')
    expect(await say('RCPT TO:<jane@example.com>')).toBe('250 2.1.5')
    // So does one with a rule that this server can't follow.
    const rules = [{ for: 'gone@example.com', do: { forward: 'a@far.example' } }]
    writeFileSync(join(cwd, 'accounts.json'), JSON.stringify({ ...file, rules }))
    await running.says(/"reason":"accounts.json: rules: needs --relay, because a rule sends mail on"/)
    expect(await say('RCPT TO:<gone@example.com>')).toBe('550 5.1.6')
    writeFileSync(
      join(cwd, 'accounts.json'),
      JSON.stringify({ ...file, accounts: [...file.accounts, { address: 'bob@example.com' }], rules: [] }),
    )
    await running.says(/"message":"accounts read again".*"accounts":3/)
    expect(await say('RCPT TO:<bob@example.com>')).toBe('250 2.1.5')
    expect(await say('RCPT TO:<gone@example.com>')).toBe('550 5.1.1')
    client.reset()
  },
)

const PLAIN = (user: string, password: string): string =>
  `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`
const BEARER = (user: string, token: string): string =>
  `AUTH OAUTHBEARER ${Buffer.from(`n,${user === '' ? '' : `a=${user}`},\x01auth=Bearer ${token}\x01\x01`).toString('base64')}`

test('--accept-any-login loopback takes every login, says so loudly, and refuses an address that others can reach', async () => {
  const options = ['--store=memory:', '--log-format=json', '--accept-any-login=loopback']
  const running = await serve([...options, '--listen=smtp://127.0.0.1:0'])
  expect(running.log).toContainEqual(
    expect.objectContaining({
      level: 'WARN',
      message: 'every name is accepted with every password, because --accept-any-login is given',
    }),
  )
  for (const login of [PLAIN('anyone', 'x'), BEARER('someone', 'y')]) {
    const client = await SocketClient.ready(running.port)
    expect((await client.command(login)).text).toMatch(/^235 /)
    client.reset()
  }
  const { code, stderr } = await postern(['serve', ...options, '--listen=smtp://*:0'])
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr:
      'postern: --accept-any-login loopback: smtp://*:0 can be reached from other machines; give everywhere if you want that\n',
  })
})

test('tokens log in as accounts alone, and a service that is away is no verdict', async () => {
  const answers: Record<string, string> = {
    good: '{"active":true,"username":"jane@example.com"}',
    stranger: '{"active":true,"username":"eve@example.com"}',
    bad: '{"active":false}',
  }
  const issuer = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const answer = answers[new URLSearchParams(body).get('token') ?? '']
    response.writeHead(answer === undefined ? 500 : 200).end(answer)
  }).listen(0, '127.0.0.1')
  await once(issuer, 'listening')
  onTestFinished(() => void issuer.close())
  const cwd = directoryWith({ domains: ['example.com'], accounts: [{ address: 'jane@example.com' }] })
  const url = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/`
  const oauth = { introspection: { url, clientId: 'postern', clientSecret: 'clientsecret' } }
  writeFileSync(join(cwd, 'postern.config.json'), JSON.stringify({ oauth, authWithoutTls: true, store: 'memory:' }))
  const running = await serve(['--listen=smtp://127.0.0.1:0', '--log-format=json'], { cwd })
  const replies: Record<string, string> = {}
  for (const token of ['good', 'stranger', 'bad', 'away']) {
    const client = await SocketClient.ready(running.port)
    const first = await client.command(BEARER('', token))
    const { text } = first.code === 334 ? await client.command('AQ==') : first
    replies[token] = text.slice(0, 9)
    client.reset()
  }
  expect(replies).toEqual({ good: '235 2.7.0', stranger: '535 5.7.8', bad: '535 5.7.8', away: '454 4.7.0' })
  await running.says(/"level":"ERROR".*cannot be asked about a token: it answered 500/)
  expect(running.output).not.toContain('clientsecret')
})

test('what a user submits gets Date, Message-ID and From, and mail of strangers is kept as it was sent', async () => {
  const cwd = directoryWith({ domains: ['example.com'], accounts: [{ address: 'jane@example.com' }] })
  writeFileSync(join(cwd, 'any.json'), JSON.stringify({ acceptAnyLogin: 'loopback', store: 'fs:mail' }))
  const running = await serve(['--config=any.json', '--listen=smtp://127.0.0.1:0', '--hostname=mx.example.com'], {
    cwd,
  })
  const stored: string[] = []
  for (const login of [PLAIN('jane@example.com', 'x'), 'NOOP']) {
    const client = await SocketClient.ready(running.port)
    await client.command(login)
    for (const line of ['MAIL FROM:<jane@example.com>', 'RCPT TO:<jane@example.com>', 'DATA'])
      await client.command(line)
    const { text } = await client.command('Subject: x\r\n\r\nHello\r\n.', 250)
    const shown = await postern(['show', '--raw', text.split(' ').at(-1) ?? '', '--store=fs:mail'], { cwd })
    stored.push(shown.stdout.replace(/^Received: (?:[^\r]+\r\n[ \t])*[^\r]+\r\n/, ''))
    client.reset()
  }
  expect(stored).toEqual([
    expect.stringMatching(
      /^Date: \w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000\r\nMessage-ID: <\w{26}@mx\.example\.com>\r\nFrom: <jane@example\.com>\r\nSubject: x\r\n\r\nHello\r\n$/,
    ),
    'Subject: x\r\n\r\nHello\r\n',
  ])
})
