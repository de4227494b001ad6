import { spawn } from 'node:child_process'
import { scryptSync } from 'node:crypto'
import { createServer } from 'node:net'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { type ConnectionOptions, connect } from 'node:tls'
import { createTransport } from 'nodemailer'
import { describe, expect, test as every } from 'vitest'
import { checkPassword, usersSource } from '@postern/intake/accounts'
import { Identities } from '@postern/intake/directory'
import type { MailRecord } from '@postern/storage'
import { hashed } from '../../../packages/intake/test/hashed.ts'
import { CURL, CURL_PROXY, CURL_TLS, SWAKS, SWAKS_TLS, TERMINAL } from '../../../test/kit/abilities.ts'
import { writeCertificate } from '../../../test/kit/certificate.ts'
import { partly } from '../../../test/kit/partly.ts'
import { testWith as everyWith } from '../../../test/kit/need.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { cleanEnvironment, MAIN, postern, run, type Postern, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { listed as recordsIn } from './mail.ts'

/** Each run makes one in three of the tests without a table. */
const test = partly(every, 3)
const testWith = partly(everyWith, 3)

interface Sending {
  readonly to?: readonly string[]
  readonly user?: string
  readonly password?: string
  readonly starttls?: boolean
  readonly implicit?: boolean
}

/** Sends one message with nodemailer. @returns `sent`, or the command that was refused and the code of its reply */
async function sendMail(port: number, options: Sending = {}): Promise<string> {
  const { to = ['b@example.com'], user, password = '', starttls = false, implicit = false } = options
  const transport = createTransport({
    host: '127.0.0.1',
    port,
    name: 'client.example',
    secure: implicit,
    requireTLS: starttls,
    ignoreTLS: !starttls,
    tls: { rejectUnauthorized: false },
    ...(user === undefined ? {} : { auth: { user, pass: password, method: 'PLAIN' } }),
  })
  try {
    await transport.sendMail({
      envelope: { from: 'a@example.com', to: [...to] },
      raw: 'Subject: Hello\r\n\r\nHello.\r\n',
    })
    return 'sent'
  } catch (error) {
    const { command, responseCode } = error as { command?: string; responseCode?: number }
    if (responseCode === undefined) throw error
    return `${command} ${responseCode}`
  } finally {
    transport.close()
  }
}

async function listed(running: Postern, directory = 'mail'): Promise<readonly MailRecord[]> {
  return (await recordsIn(join(running.cwd, directory))).records
}

/** Writes `FILE.key` and `FILE.pem` for a name. */
async function certificate(cwd: string, name: string, file = name): Promise<void> {
  await writeCertificate(join(cwd, `${file}.key`), join(cwd, `${file}.pem`), { hosts: [name] })
}

/** Connects by TLS. @returns the name in the server's certificate and the greeting, or '' if the server ended the connection */
async function greeted(port: number, options: ConnectionOptions = {}): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
  let said = ''
  try {
    await once(socket, 'secureConnect')
    const { subject } = socket.getPeerCertificate()
    socket.end('QUIT\r\n')
    for await (const bytes of socket) said += String(bytes)
    return said === '' ? '' : `${subject.CN}: ${said}`
  } catch {
    return ''
  } finally {
    socket.destroy()
  }
}

/** Makes a valid hash whose check costs nothing. */
function cheapHash(password: string): string {
  const salt = Buffer.from('fifteen octets!')
  // Lengths that are multiples of three need no padding, and PHC allows none.
  const hash = scryptSync(password, salt, 30, { N: 16, r: 8, p: 1 })
  return `$scrypt$ln=4,r=8,p=1$${salt.toString('base64')}$${hash.toString('base64')}`
}

function port(running: Postern, index = 0): number {
  const found = running.ports[index]
  if (found === undefined) throw new Error(`no address ${index} in:\n${running.stdout}`)
  return found
}

/** Where a store is named, and the end of the printed command. */
const STORES: readonly (readonly [string, readonly string[], Readonly<Record<string, string>>, string])[] = [
  ['a file that --config names', ['--config', 'own.config.json'], {}, ' list --config own.config.json'],
  ['postern.config.json', [], {}, ' list'],
  ['a variable', [], { POSTERN_STORE: 'fs:./of a variable' }, " list --store 'fs:./of a variable'"],
]

describe.concurrent('from the first command to the first message', () => {
  every('the start block names addresses and commands, each message is a line, and Ctrl-C ends with 0', async () => {
    const running = await serve([])
    const at = port(running)
    const block = running.stdout
    expect(block).toMatch(/^Postern \d+\.\d+\.\d+ receives mail\.\n/)
    expect(block).toContain(`smtp://127.0.0.1:${at}`)
    expect(block).toContain(`fs:./mail (${join(running.cwd, 'mail')})`)
    expect(block).toMatch(/Hostname +\S+/)

    expect(await sendMail(at, { to: ['b@example.com', 'c@example.com'] })).toBe('sent')
    const [, id] = await running.says(
      /^kept (\w{26}) from <a@example\.com> to <b@example\.com>, <c@example\.com>, \d+ B, ESMTP$/m,
    )
    const records = await listed(running)
    expect(records.map((record) => record.id)).toEqual([id])

    running.signal('SIGINT')
    expect(await running.ended).toBe(0)
    expect(running.stdout).toMatch(/\nStopping\.\nStopped\.\n$/)
  })

  testWith([SWAKS, CURL], 'the printed commands work as they are printed', async () => {
    const running = await serve([])
    const [, swaks = ''] = /^ {2}(swaks .*)$/m.exec(running.stdout) ?? []
    const [, curl = ''] = /^ {2}(printf .*curl .*)$/m.exec(running.stdout) ?? []
    const [, list = ''] = /^ {2}(\S.* list.*)$/m.exec(running.stdout) ?? []
    expect(await run('sh', ['-c', swaks], { cwd: running.cwd })).toMatchObject({ code: 0 })
    expect(await run('sh', ['-c', curl], { cwd: running.cwd })).toMatchObject({ code: 0, stderr: '' })
    const { stdout, stderr, code } = await run('sh', ['-c', list], { cwd: running.cwd })
    expect(stdout.match(/<me@example\.com> +<you@example\.com>/g)).toHaveLength(2)
    expect([stderr, code]).toEqual(['', 0])
  })

  testWith(
    [CURL, CURL_PROXY],
    'if this machine is a trusted proxy, the printed command sends a PROXY header',
    async () => {
      const running = await serve(['--proxy-from', '127.0.0.0/8'])
      expect(running.stdout).not.toContain('swaks')
      const [, curl = ''] = /^ {2}(printf .*curl .*)$/m.exec(running.stdout) ?? []
      expect(await run('sh', ['-c', curl], { cwd: running.cwd })).toMatchObject({ code: 0, stderr: '' })
      expect(await listed(running)).toHaveLength(1)
    },
  )

  testWith(
    [SWAKS_TLS, CURL_TLS],
    'the printed commands work over implicit TLS, required TLS, IPv6 and a Unix socket, with a store elsewhere',
    async () => {
      const listens = ['smtps://127.0.0.1:0', 'smtp://[::1]:0', 'smtp://*:0', 'smtp+unix:./socket']
      for (const listen of sample(listens, 1)) {
        const own = listen.startsWith('smtp://[') ? ['--tls-required'] : []
        const running = await serve(['--listen', listen, '--self-signed', '--store', 'fs:./other store', ...own])
        const sends = running.stdout.match(/^ {2}(?:swaks |printf .*curl ).*$/gm) ?? []
        // Only some machines have a swaks with IPv6.
        expect(sends).toHaveLength(listen.includes('[::1]') ? 1 : 2)
        const [, list = ''] = /^ {2}(\S.* list.*)$/m.exec(running.stdout) ?? []
        for (const command of sends) {
          const sent = await run('sh', ['-c', command], { cwd: running.cwd })
          expect({ ...sent, bytes: command }).toMatchObject({ code: 0 })
        }
        const { stdout } = await run('sh', ['-c', list], { cwd: running.cwd })
        expect(stdout.match(/<me@example\.com>/g)).toHaveLength(sends.length)
      }
    },
  )

  test.each(sample(STORES, 1))('the printed command finds the store of %s', async (name, flags, env, command) => {
    const cwd = temporaryDirectory()
    if (name.startsWith('postern')) writeFileSync(join(cwd, name), '{ "store": "fs:./found" }')
    writeFileSync(join(cwd, 'own.config.json'), '{ "store": "fs:./named" }')
    const running = await serve(flags, { cwd, env })
    expect(await sendMail(port(running))).toBe('sent')
    const [, list = ''] = /^ {2}(\S.* list\b.*)$/m.exec(running.stdout) ?? []
    expect(list.endsWith(command)).toBe(true)
    const { stdout, stderr, code } = await run('sh', ['-c', list], { cwd })
    expect(stdout).toContain('<b@example.com>')
    expect([stderr, code]).toEqual(['', 0])
  })

  test('serve uses the hooks and the store of postern.config.ts', async () => {
    const cwd = temporaryDirectory()
    symlinkSync(join(import.meta.dirname, '../node_modules'), join(cwd, 'node_modules'))
    writeFileSync(
      join(cwd, 'postern.config.ts'),
      `import { reply } from '@postern/engine'
      import { mailStore } from '@postern/storage'
      import { fs } from '@postern/storage/fs'
      export default {
        hostname: 'mx.config.example',
        banner: 'of the file',
        helloText: 'of the house',
        store: mailStore(fs('own')),
        handlers: {
          rcpt(to: { address: string }) {
            if (to.address !== 'b@example.com') return reply(550, '5.1.1', 'Nobody')
          },
        },
      }`,
    )
    const running = await serve([], { cwd, env: { POSTERN_BANNER: 'of the environment' } })
    const client = await SocketClient.connect(port(running))
    expect((await client.reply()).text).toBe('220 mx.config.example ESMTP of the environment')
    expect((await client.command('EHLO client.example')).lines[0]).toBe('mx.config.example of the house')
    expect(await sendMail(port(running))).toBe('sent')
    expect(await sendMail(port(running), { to: ['x@example.com'] })).toBe('RCPT TO 550')
    await running.says(/"message":"refused".*"hook":"rcpt","reply":"550 5\.1\.1 Nobody"/)
    expect(existsSync(join(cwd, 'own'))).toBe(true)
    const { stdout } = await postern(['list', '--json'], { cwd })
    expect(JSON.parse(stdout).records).toHaveLength(1)
  })

  test("a store of the user's own that has a scheme and a URL is used as it is", async () => {
    const cwd = temporaryDirectory()
    symlinkSync(join(import.meta.dirname, '../node_modules'), join(cwd, 'node_modules'))
    writeFileSync(
      join(cwd, 'postern.config.ts'),
      `import { mailStore } from '@postern/storage'
      import { fs } from '@postern/storage/fs'
      const properties = { scheme: 'fs', url: 'fs:./other', path: './other' }
      export default { store: Object.assign(mailStore(fs('own')), properties) }`,
    )
    const running = await serve([], { cwd })
    expect(await sendMail(port(running))).toBe('sent')
    expect(existsSync(join(cwd, 'own'))).toBe(true)
    expect(existsSync(join(cwd, 'other'))).toBe(false)
    expect(await listed(running, 'own')).toHaveLength(1)
  })

  test('a data hook answers for messages that it reads, the store keeps the others, and an authenticate hook is asked first', async () => {
    const cwd = temporaryDirectory()
    symlinkSync(join(import.meta.dirname, '../node_modules'), join(cwd, 'node_modules'))
    writeFileSync(
      join(cwd, 'postern.config.ts'),
      `import { reply, type Credentials, type Message } from '@postern/engine'
      export default {
        authWithoutTls: true,
        handlers: {
          async data(message: Message) {
            const [to] = message.envelope.forwardPaths
            if (to?.localPart === 'refuse') return reply(554, '5.7.1', 'Not here')
            if (to?.localPart !== 'keep') await message.bytes()
            if (to?.localPart === 'take') return reply(250, '2.0.0', 'Taken')
          },
          authenticate: ({ username, password }: Credentials) =>
            username === 'own' && password === 'pass' ? { user: 'own@example.com' } : undefined,
        },
      }`,
    )
    const running = await serve([], { cwd })
    const send = async (name: string, options = {}): Promise<string> =>
      sendMail(port(running), { to: [`${name}@example.com`], ...options })
    expect(await send('take')).toBe('sent')
    expect(await send('refuse')).toBe('DATA 554')
    expect(await send('forget')).toBe('DATA 451')
    await running.says(/a data hook that reads the message must answer for it: return reply\(/)
    expect(await send('keep', { user: 'own', password: 'pass' })).toBe('sent')
    expect(await send('keep', { user: 'own', password: 'word' })).toBe('AUTH PLAIN 535')
    expect((await listed(running)).map(({ session }) => session.user)).toEqual(['own@example.com'])
  })

  testWith([TERMINAL], 'on a terminal the log is in pretty format, and nothing is written twice', async () => {
    const cwd = temporaryDirectory()
    // `exec`, because a shell that stays would also get the Ctrl-C, and some shells answer with 130 whatever Postern
    // does.
    const command = `exec "${process.execPath}" "${MAIN}" serve --listen smtp://127.0.0.1:0 --store memory: --log-level debug`
    const terminal = spawn('script', ['-qefc', command, '/dev/null'], { cwd, env: cleanEnvironment({ TERM: 'xterm' }) })
    let seen = ''
    terminal.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()))
    const until = async (pattern: RegExp): Promise<string> => {
      while (!pattern.test(seen)) await once(terminal.stdout, 'data')
      return pattern.exec(seen)?.[1] ?? ''
    }
    const at = Number(await until(/smtp:\/\/127\.0\.0\.1:(\d+)\r\n[\s\S]*Stop with Ctrl-C/))
    const client = await SocketClient.connect(at)
    await client.reply()
    await client.command('EHLO x\x1b[31m')
    expect((await client.command('EHLO client.example')).text).toMatch(/^250/)
    expect(await sendMail(at)).toBe('sent')
    await until(/kept \w{26} from/)
    terminal.stdin.write('\x03')
    await once(terminal, 'close')
    expect(terminal.exitCode).toBe(0)
    expect(seen).toMatch(/debug.* hello sessionId=\w{26} verb=EHLO name=client\.example/)
    expect(seen).toMatch(/Stopping[\s\S]*Stopped\./)
    expect(seen).not.toMatch(/message kept|serving|"level"/)
    expect(seen).not.toContain('x\x1b[31m')
  })

  test('--log-format json writes nothing to standard output', async () => {
    const running = await serve(['--log-format', 'json', '--store', 'memory:'])
    await sendMail(port(running))
    await running.says(/"message":"message kept"/)
    running.signal('SIGTERM')
    expect(await running.ended).toBe(0)
    expect(running.stdout).toBe('')
    const events = running.stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events.map(({ message }) => message)).toEqual(['serving', 'message kept', 'stopping', 'stopped'])
    expect(events[1]).toMatchObject({
      level: 'INFO',
      from: 'a@example.com',
      to: ['b@example.com'],
      with: 'ESMTP',
      remote: '127.0.0.1',
    })
    expect(events[1].sessionId).toMatch(/^\w{26}$/)
  })

  test('the server goes on if the reader of its standard output goes away', async () => {
    const running = await serve([])
    running.child.stdout?.destroy()
    for (let i = 0; i < 3; i++) expect(await sendMail(port(running))).toBe('sent')
    expect(await listed(running)).toHaveLength(3)
    running.signal('SIGTERM')
    expect(await running.ended).toBe(0)
  })
})

describe.concurrent('TLS and AUTH', () => {
  test('STARTTLS is offered only with a certificate', async () => {
    const without = await serve(['--store', 'memory:'])
    expect((await (await SocketClient.connect(port(without))).ehlo()).text).not.toContain('STARTTLS')
    const running = await serve(['--store', 'memory:', '--self-signed'])
    expect((await (await SocketClient.connect(port(running))).ehlo()).text).toContain('STARTTLS')
    expect(await sendMail(port(running), { starttls: true })).toBe('sent')
    await running.says(/^kept .*, ESMTPS$/m)
  })

  test('submission accepts mail only under TLS, from users with the right password', async () => {
    const users = [`ann:${cheapHash('correct horse')}`, `bob@example.com:${cheapHash('b0b')}`]
    const listens = ['submission://127.0.0.1:0', 'submissions://127.0.0.1:0', 'smtp://127.0.0.1:0']
    const flags = ['--self-signed', '--max-failed-auths', '10', ...users.flatMap((user) => ['--users', user])]
    const running = await serve([...listens.flatMap((url) => ['--listen', url]), ...flags])
    const clear = await SocketClient.connect(port(running))
    expect((await clear.ehlo()).text).not.toContain('AUTH')
    expect((await clear.command('MAIL FROM:<a@example.com>')).text).toMatch(/^530 5\.7\.0 /)
    expect((await clear.command('AUTH PLAIN AGFubgBjb3JyZWN0IGhvcnNl')).text).toMatch(/^53[08] /)

    expect(await sendMail(port(running), { starttls: true })).toBe('MAIL FROM 530')
    const ann = { starttls: true, user: 'ann' }
    expect(await sendMail(port(running), { ...ann, password: 'correct horse' })).toBe('sent')
    expect(await sendMail(port(running), { ...ann, password: 'Correct horse' })).toBe('AUTH PLAIN 535')
    expect(await sendMail(port(running), { ...ann, user: 'eve', password: 'x' })).toBe('AUTH PLAIN 535')
    const bob = { implicit: true, user: 'bob@example.com', password: 'b0b' }
    expect(await sendMail(port(running, 1), bob)).toBe('sent')
    // Port 25 accepts mail from anybody.
    expect(await sendMail(port(running, 2))).toBe('sent')

    const records = await listed(running)
    expect(records.map(({ session }) => [session.user, session.transmissionType]).toReversed()).toEqual([
      ['ann', 'ESMTPSA'],
      ['bob@example.com', 'ESMTPSA'],
      [undefined, 'ESMTP'],
    ])
    await running.says(/"message":"login refused".*"user":"eve"/)
  })

  test('a user cannot log in as another one, and AUTH without TLS needs its option', async () => {
    const running = await serve(['--store', 'memory:', '--users', `ann:${cheapHash('pw')}`, '--auth-without-tls'])
    const plain = (...words: string[]): string => `AUTH PLAIN ${Buffer.from(words.join('\0')).toString('base64')}`
    const client = await SocketClient.connect(port(running))
    expect((await client.ehlo()).text).toContain('AUTH PLAIN LOGIN')
    expect((await client.command(plain('bob', 'ann', 'pw'))).text).toMatch(/^535 5\.7\.8 /)
    expect((await client.command(plain('ann', 'ann', 'pw'))).text).toMatch(/^235 2\.7\.0 /)
  })

  every('no secret is in the output at any log level', async () => {
    const secret = 'v3ry-s3cret'
    const hash = cheapHash(secret)
    const args = [
      '--listen',
      'submission://127.0.0.1:0',
      '--self-signed',
      '--users',
      `ann:${hash}`,
      '--debug',
      '--log-level',
      'trace',
    ]
    const running = await serve(args)
    const ann = { starttls: true, user: 'ann', password: secret }
    expect(await sendMail(port(running), ann)).toBe('sent')
    expect(await sendMail(port(running), { ...ann, password: `${secret}!` })).toBe('AUTH PLAIN 535')
    await running.says(/AUTH PLAIN \(credentials\)/)
    await running.says(/"logger":"postern.wire"/)
    running.signal('SIGINT')
    await running.ended
    const said = running.stdout + running.stderr
    for (const form of [secret, Buffer.from(secret).toString('base64'), `\0ann\0${secret}`, hash, hash.slice(-20)]) {
      expect(said).not.toContain(form)
      expect(said).not.toContain(Buffer.from(form).toString('base64').replace(/=+$/, ''))
    }
    expect(said).not.toContain('Hello.')
  })

  test('certificates are chosen by host name, and client certificates are verified', async () => {
    const cwd = temporaryDirectory()
    for (const name of ['main', 'other', 'client']) await certificate(cwd, name)
    writeFileSync(
      join(cwd, 'postern.config.ts'),
      `export default {
        store: 'memory:',
        tlsKey: 'main.key',
        tlsCert: 'main.pem',
        tlsCa: 'client.pem',
        clientCertificates: 'require',
        sni: { 'other.example': { tlsKey: 'other.key', tlsCert: 'other.pem' } },
      }`,
    )
    const running = await serve(['--listen', 'smtps://127.0.0.1:0'], { cwd })
    const read = (name: string): Buffer => readFileSync(join(cwd, name))
    const shown = { cert: read('client.pem'), key: read('client.key') }
    expect(await greeted(port(running), { servername: 'other.example', ...shown })).toMatch(/^other: 220 /)
    expect(await greeted(port(running), { servername: 'else.example', ...shown })).toMatch(/^main: 220 /)
    expect(await greeted(port(running), { servername: 'other.example' })).toBe('')
    await running.says(/"message":"TLS handshake failed"/)
  })

  test('SIGHUP reads the certificate again', async () => {
    const cwd = temporaryDirectory()
    await certificate(cwd, 'one.example', 'tls')
    const running = await serve(['--listen', 'smtps://127.0.0.1:0', '--tls-key', 'tls.key', '--tls-cert', 'tls.pem'], {
      cwd,
    })
    expect(await greeted(port(running))).toMatch(/^one\.example: 220 /)
    await certificate(cwd, 'other.example', 'tls')
    running.signal('SIGHUP')
    await running.says(/certificates read again/)
    expect(await greeted(port(running))).toMatch(/^other\.example: 220 /)
    writeFileSync(join(cwd, 'tls.pem'), 'broken')
    running.signal('SIGHUP')
    await running.says(/certificates could not be read again; the server keeps the old ones/)
    expect(await greeted(port(running))).toMatch(/^other\.example: 220 /)
  })
})

describe.concurrent('stopping', () => {
  test('a message in DATA is finished and answered, and idle sessions get 421', async () => {
    const running = await serve([])
    const [busy, idle] = [await SocketClient.ready(port(running)), await SocketClient.ready(port(running))]
    await busy.data('Subject: Half')
    running.signal('SIGINT')
    await running.says(/Stopping: mail in progress in (one session|2 sessions) may take 30 s more/)
    expect((await idle.reply()).text).toMatch(/^421 4\.3\.2 /)
    busy.send('\r\n\r\nThe other half.\r\n.\r\n')
    expect((await busy.reply()).text).toMatch(/^250 2\.0\.0 /)
    expect(await running.ended).toBe(0)
    expect(await listed(running)).toHaveLength(1)
  })

  test('the server ends after the grace time, and keeps no incomplete message', async () => {
    const running = await serve(['--grace-ms', '300ms'])
    const client = await SocketClient.ready(port(running))
    await client.data('Subject: Half')
    running.signal('SIGTERM')
    expect(await running.ended).toBe(0)
    expect(await listed(running)).toEqual([])
  })

  test('a second signal stops the server at once', async () => {
    const running = await serve([])
    const client = await SocketClient.ready(port(running))
    await client.data('Subject: Half')
    running.signal('SIGINT')
    await running.says(/Stopping: /)
    running.signal('SIGINT')
    expect(await running.ended).toBe(130)
    expect(running.stdout).toMatch(/Stopped at once\.\n$/)
  })

  test('an uncaught error is logged and ends the server with 1', async () => {
    const cwd = temporaryDirectory()
    writeFileSync(
      join(cwd, 'postern.config.ts'),
      "export default { store: 'memory:', handlers: { connect() { setTimeout(() => { throw new Error('a bug of mine') }, 10) } } }",
    )
    const running = await serve([], { cwd })
    await SocketClient.connect(port(running))
    expect(await running.ended).toBe(1)
    expect(running.stderr).toMatch(/"level":"FATAL".*uncaught error.*a bug of mine/)
  })
})

describe.concurrent('an error at the start is one line, exit code 2', () => {
  test('a port that is in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    taken.unref()
    await once(taken, 'listening')
    const url = `smtp://127.0.0.1:${(taken.address() as { port: number }).port}`
    const { code, stdout, stderr } = await postern(['serve', '--listen', 'smtp://127.0.0.1:0', '--listen', url])
    expect(stderr).toBe(
      `postern: --listen ${url}: the address is in use; stop the program that listens there, or give --listen smtp://127.0.0.1:0 for any free port\n`,
    )
    expect([code, stdout]).toEqual([2, ''])
  })

  test('an address of another machine', async () => {
    const { code, stderr } = await postern(['serve', '--listen', 'smtp://192.0.2.1:2525'])
    expect(stderr).toMatch(/^postern: --listen smtp:\/\/192\.0\.2\.1:2525: this machine has no such address; .*\n$/)
    expect(code).toBe(2)
  })

  test('a store under a file', async () => {
    const cwd = temporaryDirectory()
    writeFileSync(join(cwd, 'file'), '')
    const { code, stdout, stderr } = await postern(
      ['serve', '--store', 'fs:./file/mail', '--listen', 'smtp://127.0.0.1:0'],
      { cwd },
    )
    expect(stderr).toMatch(/^postern: --store fs:\.\/file\/mail: .*; give a writable directory\n$/)
    expect([code, stdout]).toEqual([2, ''])
  })

  test.each(sample(['serve', 'list', 'delete'], 1))('a store of another layout, for postern %s', async (command) => {
    const cwd = temporaryDirectory()
    mkdirSync(join(cwd, 'mail'))
    writeFileSync(join(cwd, 'mail/.postern'), 'maildir 1\n')
    const rest = { serve: ['--listen', 'smtp://127.0.0.1:0'], delete: ['01KASJ3V5QCYF6Y3W9T2Z8N4RB'] }[command] ?? []
    const { code, stdout, stderr } = await postern([command, '--store', 'fs:./mail', ...rest], { cwd })
    expect(stderr).toMatch(
      /^postern: --store fs:\.\/mail: .*\/mail holds mail in the layout maildir 1, not fs 1; open it as maildir: or name another directory\n$/,
    )
    expect([code, stdout]).toEqual([2, ''])
    expect(readdirSync(join(cwd, 'mail'))).toEqual(['.postern'])
  })

  test.skipIf(process.getuid?.() !== 0)('a directory that this user may not write', async () => {
    const cwd = temporaryDirectory()
    chmodSync(cwd, 0o755)
    mkdirSync(join(cwd, 'mail'), { mode: 0o755 })
    const { code, stderr } = await postern(['serve', '--listen', 'smtp://127.0.0.1:0'], { cwd, uid: 65_534 })
    expect(stderr).toMatch(/^postern: --store fs:\.\/mail: .*; give a writable directory\n$/)
    expect(code).toBe(2)
  })

  test('a file without a key', async () => {
    const cwd = temporaryDirectory()
    for (const name of ['key.pem', 'cert.pem']) writeFileSync(join(cwd, name), 'not PEM')
    const { code, stderr } = await postern(
      ['serve', '--listen', 'smtp://127.0.0.1:0', '--tls-key', 'key.pem', '--tls-cert', 'cert.pem'],
      { cwd },
    )
    expect(stderr).toMatch(/^postern: --tls-key key\.pem: there is no private key in PEM; name a PEM file\n$/)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(code).toBe(2)
  })
})

every('a check of an unknown user takes as long as of a known one', () => {
  const identities = new Identities([usersSource([{ name: 'ann', password: hashed('right', { ln: 5, r: 4, p: 2 }) }])])
  const [ann, eve] = ['ann', 'eve'].map((name) => {
    const expected = identities.passwordOf(name)
    expect(checkPassword({ password: 'wrong', expected })).toBe(false)
    if (expected.kind !== 'scrypt') throw new Error(`it is a record of ${expected.kind}`)
    const { ln, r, p, salt, hash } = expected
    return { ln, r, p, saltLength: salt.length, hashLength: hash.length }
  })
  // These decide how long the check takes.
  expect(ann).toMatchObject({ ln: 5, r: 4, p: 2 })
  expect(eve).toEqual(ann)
  expect(checkPassword({ password: 'right', expected: identities.passwordOf('ann') })).toBe(true)
})
