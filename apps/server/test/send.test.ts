/** `postern send` and `postern sendmail` hand messages to a server, here to another Postern. */
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mailStore, type MailRecord } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { freePort } from '../../../test/kit/port.ts'
import { type MailServer, postern, type Result, serveMail } from '../../../test/kit/postern.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

interface Kept {
  readonly record: MailRecord
  /** The message without the trace header. */
  readonly text: string
}

let server: MailServer
let url: string
const seen = new Set<string>()

beforeAll(async () => {
  const flags = ['--domains', 'example.com', '--max-message-bytes', '100kB']
  server = await serveMail({ store: join(temporaryDirectory(), 'mail'), flags })
  url = `smtp://127.0.0.1:${server.port}`
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** Returns the messages that were stored since the last call. */
async function kept(): Promise<readonly Kept[]> {
  const store = mailStore(fs(server.store))
  const { records } = await store.list({ limit: 100 })
  const found: Kept[] = []
  for (const { id } of records.filter((record) => !seen.has(record.id))) {
    seen.add(id)
    const { record, body } = await store.load(id)
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(chunk.slice())
    found.push({
      record,
      text: Buffer.concat(chunks)
        .toString()
        .replace(/^Received:.*\r\n(?:[ \t].*\r\n)*/, ''),
    })
  }
  return found
}

async function onlyKept(): Promise<Kept> {
  const all = await kept()
  expect(all).toHaveLength(1)
  return all[0] as Kept
}

const send = (args: readonly string[], input?: string): Promise<Result> =>
  postern(['send', '--submit-to', url, ...args], { ...(input !== undefined && { input }) })

const sendmail = (args: readonly string[], input: string, to: string = url): Promise<Result> =>
  postern(['sendmail', ...args], { input, env: { POSTERN_SUBMIT_TO: to } })

/** Greets with a line that is no SMTP. */
async function oddServer(): Promise<{ readonly url: string } & Disposable> {
  const listener = createServer((socket) => socket.on('error', () => {}).end('hello there\r\n'))
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  return { url: `smtp://127.0.0.1:${port}`, [Symbol.dispose]: () => void listener.close() }
}

test.each(RUNTIME_NAMES)(
  'on %s, a server that is not there, breaks the protocol or is not trusted has its exit code',
  async (runtime) => {
    using odd = await oddServer()
    await using secure = await serveMail({ store: join(temporaryDirectory(), 'mail'), flags: ['--self-signed'] })
    const flags = ['--to', 'bob@example.com', '--text', 'x', '--from', 'ann@example.org']
    for (const [to, exitCode, said] of [
      ['smtp://no.invalid', 68, /^postern: cannot connect to no\.invalid:25: /],
      [`smtp://127.0.0.1:${await freePort()}`, 75, /^postern: cannot connect to 127\.0\.0\.1:/],
      [odd.url, 76, /^postern: /],
      [
        `smtp+starttls://127.0.0.1:${secure.port}`,
        76,
        /; --ca FILE names the authority of its certificate, and --insecure trusts any\n$/,
      ],
    ] as const) {
      const { code, stderr } = await postern(['send', '--submit-to', to, ...flags], { command: RUNTIMES[runtime] })
      expect([to, code, stderr.split('\n').length, stderr]).toEqual([to, exitCode, 2, expect.stringMatching(said)])
    }
  },
)

describe('postern send', () => {
  test('logs in by --user with POSTERN_PASSWORD over STARTTLS, and ends with 77 if it is wrong', async () => {
    const cwd = temporaryDirectory()
    await postern(['domain', 'add', 'example.com'], { cwd })
    await postern(['user', 'add', 'ann@example.com'], { cwd, input: 'tiger\n' })
    mkdirSync(join(cwd, 'mail'))
    await using own = await serveMail({ store: join(cwd, 'mail'), flags: ['--self-signed', '--auth-required'], cwd })
    const to = ['--from', 'ann@example.com', '--to', 'ann@example.com', '--subject', 'x', '--text', 'x']
    const where = ['--submit-to', `smtp+starttls://127.0.0.1:${own.port}`, '--insecure', '--user', 'ann@example.com']
    const login = (password: string): Promise<Result> =>
      postern(['send', ...where, ...to], { env: { POSTERN_PASSWORD: password } })
    const right = await login('tiger')
    expect([right.code, right.stderr]).toEqual([0, ''])
    const wrong = await login('lion')
    expect([wrong.code, wrong.stdout]).toEqual([77, ''])
    expect(wrong.stderr).not.toContain('lion')
    const { records } = await mailStore(fs(own.store)).list()
    expect(records.map(({ session }) => session.user)).toEqual(['ann@example.com'])
  })

  test('makes a message of text, HTML and attachments, and does not show recipients of --bcc', async () => {
    const cwd = temporaryDirectory()
    const report = join(cwd, 'report.txt')
    writeFileSync(report, 'all is well\n')
    const people = ['--from', 'Ann <ann@sender.example>', '--to', 'you@example.com', '--bcc', 'hidden@example.com']
    const content = ['--subject', 'Grüße', '--text', 'Hello!', '--html', '<p>Hello!</p>', '--attach', report]
    const { code, stdout, stderr } = await send([...people, ...content, '--header', 'X-Own: yes'])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^sent to <you@example\.com>, <hidden@example\.com>: 250 2\.0\.0 OK queued as \w+\n$/)
    const { record, text } = await onlyKept()
    expect(record.reversePath.address).toBe('ann@sender.example')
    expect(record.forwardPaths.map(({ address }) => address)).toEqual(['you@example.com', 'hidden@example.com'])
    expect(text).toContain('Subject: =?UTF-8?')
    expect(text).toMatch(/^X-Own: yes\r$/m)
    expect(text).toContain('filename=report.txt')
    expect(text).toContain(Buffer.from('all is well\n').toString('base64'))
    expect(text).not.toContain('hidden@example.com')
  })

  test('sends a whole message to its own To, Cc and Bcc, with CRLF and without Bcc', async () => {
    const message =
      'From: ann@sender.example\nTo: "You, there" <you@example.com>\nCc: a@example.com,\n b@example.com\nBcc: c@example.com\nSubject: x\n\n.dot\n..\nlast'
    const { code, stderr } = await send([], message)
    expect([code, stderr]).toEqual([0, ''])
    const { record, text } = await onlyKept()
    expect(record.reversePath.address).toBe('ann@sender.example')
    expect(record.forwardPaths.map(({ address }) => address)).toEqual(
      ['you', 'a', 'b', 'c'].map((name) => `${name}@example.com`),
    )
    expect(text).toMatch(
      /^From: ann@sender\.example\r\nTo: "You, there" <you@example\.com>\r\nCc: a@example\.com,\r\n b@example\.com\r\nSubject: x\r\nDate: [^\r]+\r\nMessage-ID: <[^\r]+>\r\n\r\n\.dot\r\n\.\.\r\nlast\r\n$/,
    )
  })

  test('reports each recipient as JSON', async () => {
    const { code, stdout } = await send(['--json', '--to', 'you@example.com', '--to', 'x@other.example', '--text', 'x'])
    expect(code).toBe(67)
    expect(JSON.parse(stdout)).toMatchObject({
      recipients: [
        { address: 'you@example.com', isAccepted: true, stage: 'final', code: 250 },
        { address: 'x@other.example', isAccepted: false, stage: 'rcpt', code: 550, enhancedCode: '5.7.1' },
      ],
      reply: { code: 250, enhancedCode: '2.0.0' },
    })
    expect(await kept()).toHaveLength(1)
  })

  test.each<[string, readonly string[], number, RegExp]>([
    [
      'a recipient is refused',
      ['--to', 'x@other.example', '--text', 'x'],
      67,
      /<x@other\.example> was refused: 550 5\.7\.1/,
    ],
    ['there is no recipient', ['--text', 'x'], 64, /^postern: give --to with an address/],
    [
      'the file is missing',
      ['no-such-file.eml', '--to', 'you@example.com'],
      66,
      /no-such-file\.eml: there is no such file/,
    ],
    [
      'an attachment is missing',
      ['--to', 'you@example.com', '--attach', 'none.pdf'],
      66,
      /--attach: none\.pdf: there is/,
    ],
    [
      'a header is malformed',
      ['--to', 'you@example.com', '--text', 'x', '--header', 'x'],
      64,
      /--header: "x" is not a field/,
    ],
    ['the URL is wrong', ['--submit-to', 'http://x', '--text', 'x'], 64, /--submit-to: /],
    ['the message is too large', ['--to', 'you@example.com', '--text', 'x'.repeat(110_000)], 65, /larger|size|octets/i],
  ])('ends with a code of sysexits if %s', async (_, args, expected, said) => {
    const { code, stderr } = await send(args)
    expect(stderr).toMatch(said)
    expect(code).toBe(expected)
    expect(await kept()).toEqual([])
  })

  test('ends with 75 if nobody listens', async () => {
    const nobody = `smtp://127.0.0.1:${await freePort()}`
    const { code, stderr } = await postern(['send', '--submit-to', nobody, '--to', 'you@example.com', '--text', 'x'])
    expect(code).toBe(75)
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })
})

describe('postern sendmail', () => {
  test('-t takes the recipients of the header, and adds what is missing', async () => {
    const { code, stdout, stderr } = await sendmail(
      ['-t', '-i', '-f', 'cron@sender.example', '-F', 'Cron "D"'],
      'To: root@example.com\nBcc: b@example.com\nSubject: Cron\n\n.\noutput\n',
    )
    expect([code, stdout, stderr]).toEqual([0, '', ''])
    const { record, text } = await onlyKept()
    expect(record.reversePath.address).toBe('cron@sender.example')
    expect(record.forwardPaths).toHaveLength(2)
    expect(text).toMatch(/\r\nFrom: "Cron \\"D\\"" <cron@sender\.example>\r\n/)
    expect(text).toMatch(/\r\n\r\n\.\r\noutput\r\n$/)
  })

  test('a line with a dot ends the message without -i', async () => {
    const { code } = await sendmail(['-f', '<>', 'you@example.com'], 'Subject: x\n\none\n.\ntwo\n')
    expect(code).toBe(0)
    const { record, text } = await onlyKept()
    expect(record.reversePath.address).toBe('')
    expect(text).toMatch(/\r\n\r\none\r\n$/)
  })

  test('-bs speaks SMTP on standard input, and answers when the server has the message', async () => {
    const lines = ['EHLO localhost', 'MAIL FROM:<a@sender.example>', 'RCPT TO:<you@example.com>', 'DATA']
    const session = [...lines, 'Subject: by -bs', '', 'x', '.', 'RSET', 'MAIL FROM:<a@sender.example>']
    const refused = [...session, 'RCPT TO:<x@other.example>', 'DATA', 'x', '.', 'QUIT', '']
    const { code, stdout } = await sendmail(['-bs'], refused.join('\r\n'))
    expect(code).toBe(0)
    expect(stdout).toMatch(/^250 2\.0\.0 OK queued as \w+\r$/m)
    expect(stdout).toMatch(/^550 5\.7\.1 .*\r$/m)
    expect((await onlyKept()).text).toContain('Subject: by -bs')
  })

  test.each<[readonly string[], string, number, RegExp]>([
    [['-Z', 'you@example.com'], '', 64, /-Z: there is no such flag/],
    [['-t', '-N', 'sometimes'], 'To: you@example.com\n\n', 64, /-N: "sometimes" is not never/],
    [['-f'], '', 64, /-f: it needs a value/],
    [[], 'Subject: x\n\n', 64, /no recipient/],
    [['x@other.example'], 'Subject: x\n\n', 67, /^postern: <x@other\.example> was refused: 550 5\.7\.1 [^\n]*\n$/],
    // Users of this machine, as cron names them.
    [['root'], 'Subject: x\n\n', 67, /^postern: <root@[\w.-]+> was refused: 550 5\.7\.1 [^\n]*\n$/],
    [['-q30m'], '', 0, /^$/],
  ])('%j ends with a code of sysexits', async (args, input, expected, said) => {
    const { code, stderr } = await sendmail(args, input)
    expect(stderr).toMatch(said)
    expect(code).toBe(expected)
    expect(await kept()).toEqual([])
  })

  test('flags that change nothing are accepted, and -v shows the session', async () => {
    const args = ['-oem', '-odi', '-B8BITMIME', '-v', '-Nfailure,delay', '-Rhdrs', '-V', 'id', 'you@example.com']
    const { code, stderr } = await sendmail(args, 'Subject: x\n\nx\n')
    expect(code).toBe(0)
    expect(stderr).toMatch(/^>>> EHLO /m)
    expect(stderr).toMatch(/^<<< 250 /m)
    expect(await kept()).toHaveLength(1)
  })
})
