/** Runs the examples of docs/coming-from-*.md. Only their ports and directories are changed. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Listener, Server } from '@postern/engine'
import { mailStore, type MailRecord } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import type { SMTPServer } from 'smtp-server'
import { expect, onTestFinished, test } from 'vitest'
import { SocketClient } from '../kit/client/socket-client.ts'
import { short } from '../kit/client/reply.ts'
import { temporaryDirectory } from '../kit/directory.ts'
import { type Postern, serve } from '../kit/postern.ts'

const documents = resolve(import.meta.dirname, '../../docs')
const TEXT = 'Subject: Hello\r\n\r\n.As it stands there.\r\n'

/** Returns the source of the only block of a page in this language, or of the one that begins with this line. */
function blockOf(page: string, language: string, beginning: string = ''): string {
  const text = readFileSync(join(documents, `coming-from-${page}.md`), 'utf8')
  const blocks = [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
  const found = blocks.filter(([, name, source = '']) => name === language && source.startsWith(beginning))
  expect(found, `blocks of ${page} in ${language}`).toHaveLength(1)
  return found[0]?.[2] ?? ''
}

/** Replaces a text that must be there once. */
function replaceOnce(source: string, text: string, replacement: string): string {
  expect(source.split(text), text).toHaveLength(2)
  return source.replace(text, () => replacement)
}

/** Loads a program. It is beside this file, so that it finds the packages. */
async function load(name: string, source: string): Promise<unknown> {
  const file = join(import.meta.dirname, `.coming-from-${name}-${process.pid}.ts`)
  writeFileSync(file, source)
  try {
    return await import(pathToFileURL(file).href)
  } finally {
    rmSync(file)
  }
}

/** A program that serves, and its store. */
interface Running {
  readonly port: number
  records(): Promise<readonly MailRecord[]>
  /** Returns the bytes that the client sent, of the stored message. */
  sent(id: string): Promise<string>
}

/** Runs the program of a page in TypeScript. */
async function run(page: string): Promise<Running> {
  const directory = temporaryDirectory()
  let source = replaceOnce(blockOf(page, 'ts'), `'./mail'`, JSON.stringify(directory))
  source = replaceOnce(source, '{ port: 2525 }', `{ port: 0, host: '127.0.0.1' }`)
  const program = await load(page, `${source}\nexport { server, listener }\n`)
  const { server, listener } = program as { server: Server; listener: Listener }
  onTestFinished(async () => {
    await listener.close()
    await server.close({ graceMs: 0 })
  })
  return { port: listener.address.port, ...storeIn(directory) }
}

/** Runs the config file of a page. */
async function runConfig(page: string, files: Readonly<Record<string, string>>): Promise<Postern & Running> {
  const cwd = temporaryDirectory()
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text)
  writeFileSync(join(cwd, 'postern.config.js'), blockOf(page, 'js', '// postern.config.js'))
  const listen = ['--listen', 'smtp://127.0.0.1:0', '--listen', 'submission://127.0.0.1:0']
  const running = await serve([...listen, '--log-format', 'json'], { cwd })
  return Object.assign(running, storeIn(join(cwd, 'mail')))
}

function storeIn(directory: string): Omit<Running, 'port'> {
  const store = mailStore(fs(directory))
  return {
    records: async () => (await store.list()).records,
    async sent(id) {
      const text = new TextDecoder().decode(await (await store.load(id)).bytes())
      return text.slice(text.indexOf('\r\nSubject:') + 2)
    },
  }
}

/** Sends each line, and returns the code and enhanced code of each reply. */
async function say(client: SocketClient, lines: readonly string[]): Promise<string[]> {
  const replies: string[] = []
  for (const line of lines) replies.push(short(await client.command(line)))
  return replies
}

const plain = (name: string, password: string): string =>
  `AUTH PLAIN ${Buffer.from(`\0${name}\0${password}`).toString('base64')}`
const addressesOf = (records: readonly MailRecord[]): readonly (readonly string[])[] =>
  records.map(({ reversePath, forwardPaths }) => [reversePath.address, ...forwardPaths.map(({ address }) => address)])
/** The text of a message as a client sends it after DATA, without the last line end. */
const STUFFED = `${TEXT.replace('\r\n.', '\r\n..')}.`

test('both programs for those who come from smtp-server answer the same, and ours keeps the mail', async () => {
  const old = replaceOnce(blockOf('smtp-server', 'js'), 'server.listen(2525)', `server.listen(0, '127.0.0.1')`)
  const { server } = (await load('smtp-server-old', `${old}\nexport { server }\n`)) as { server: SMTPServer }
  onTestFinished(() => new Promise<void>((done) => server.close(() => done())))
  const ours = await run('smtp-server')
  const lines = [
    'MAIL FROM:<spam@example.net>',
    'MAIL FROM:<a@example.net>',
    'RCPT TO:<b@elsewhere.example>',
    'RCPT TO:<c@example.com>',
    'DATA',
    STUFFED,
    plain('ann', 'lion'),
    plain('ann', 'tiger'),
    'MAIL FROM:<ann@example.com> SIZE=1048577',
    'MAIL FROM:<ann@example.com>',
    'RCPT TO:<b@elsewhere.example>',
    'DATA',
    STUFFED,
  ]
  const answers: number[][] = []
  for (const port of [(server.server.address() as AddressInfo).port, ours.port]) {
    using client = await SocketClient.ready(port)
    const replies = await say(client, lines)
    answers.push(replies.map((reply) => Number(reply.slice(0, 3))))
  }
  expect(answers[1]).toEqual([550, 250, 550, 250, 354, 250, 535, 235, 552, 250, 250, 354, 250])
  expect(answers[0]).toEqual(answers[1])
  const records = await ours.records()
  expect(addressesOf(records)).toEqual([
    ['ann@example.com', 'b@elsewhere.example'],
    ['a@example.net', 'c@example.com'],
  ])
  expect(records[0]?.session.user).toBe('ann')
  expect(await ours.sent(records[0]?.id ?? '')).toBe(TEXT)
})

test('the page for those who come from smtp-server names every field of its types', () => {
  const types = readFileSync(
    join(dirname(createRequire(import.meta.url).resolve('smtp-server')), '../esm/types.d.ts'),
    'utf8',
  )
  const page = readFileSync(join(documents, 'coming-from-smtp-server.md'), 'utf8')
  const named = new Set(page.match(/\w+/g))
  const fields = [...types.matchAll(/^export interface (\w+).*\{\n([\s\S]*?)^\}/gm)].flatMap(([, name, body = '']) =>
    [...body.matchAll(/^ {4}(\w+)\??[:(]/gm)].map(([, field = '']) => ({ name, field })),
  )
  expect(fields.length).toBeGreaterThan(80)
  expect(fields.filter(({ field }) => !named.has(field))).toEqual([])
})

test('the program for those who come from mhale/smtpd looks into each message, and tells its id', async () => {
  const ours = await run('mhale-smtpd')
  using client = await SocketClient.connect(ours.port)
  expect((await client.reply()).text).toBe('220 mx.example.com ESMTP Example')
  const begin = ['MAIL FROM:<a@example.net>', 'RCPT TO:<b@example.com>', 'DATA']
  expect(await say(client, ['EHLO client.example', 'MAIL FROM:<>', 'RCPT TO:<b@elsewhere.example>', 'RSET'])).toEqual([
    '250',
    '250 2.1.0',
    '550 5.1.1',
    '250 2.0.0',
  ])
  expect(await say(client, [...begin, 'To: b@example.com\r\n\r\nsubject: none\r\n.'])).toEqual([
    '250 2.1.0',
    '250 2.1.5',
    '354',
    '554 5.6.0',
  ])
  await client.expectAll(begin)
  const { text } = await client.command(STUFFED)
  const [record, ...others] = await ours.records()
  expect(text).toBe(`250 2.0.0 Ok: queued as ${record?.id}`)
  expect(others).toEqual([])
  expect(await ours.sent(record?.id ?? '')).toBe(TEXT)
})

test('the program for those who come from go-smtp lets users send only as themselves', async () => {
  const ours = await run('go-smtp')
  using client = await SocketClient.ready(ours.port)
  const replies = await say(client, [
    'MAIL FROM:<ann@example.com>',
    plain('ann@example.com', 'lion'),
    plain('ann@example.com', 'tiger'),
    'MAIL FROM:<bob@example.com>',
    'MAIL FROM:<ann@example.com>',
    'RCPT TO:<b@elsewhere.example>',
    'DATA',
    STUFFED,
  ])
  expect(replies).toEqual([
    '530 5.7.0',
    '535 5.7.8',
    '235 2.7.0',
    '550 5.7.1',
    '250 2.1.0',
    '250 2.1.5',
    '354',
    '250 2.0.0',
  ])
  const records = await ours.records()
  expect(records).toMatchObject([{ session: { user: 'ann@example.com', transmissionType: 'ESMTPA' } }])
  expect(await ours.sent(records[0]?.id ?? '')).toBe(TEXT)
})

test('the program for those who come from aiosmtpd answers as its handler did', async () => {
  const ours = await run('aiosmtpd')
  using client = await SocketClient.ready(ours.port)
  expect(await say(client, [plain('ann', 'lion'), plain('ann', 'tiger')])).toEqual(['535 5.7.8', '235 2.7.0'])
  const begin = ['MAIL FROM:<a@example.net>', 'RCPT TO:<b@example.com>', 'DATA']
  await client.expectAll(['MAIL FROM:<>'])
  expect((await client.command('RCPT TO:<b@elsewhere.example>')).text).toBe('550 5.7.1 not relaying to that domain')
  await client.expectAll(['RSET', ...begin])
  expect((await client.command('Subject: Win\r\n\r\nthe lottery\r\n.')).text).toBe('554 5.7.1 We do not play')
  await client.expectAll(begin)
  expect((await client.command(STUFFED)).text).toBe('250 2.0.0 Message accepted for delivery')
  const records = await ours.records()
  expect(addressesOf(records)).toEqual([['a@example.net', 'b@example.com']])
  expect(await ours.sent(records[0]?.id ?? '')).toBe(TEXT)
})

test('the files for those who come from share/lib/smtp serve accounts with hashes of bcrypt', async () => {
  const ours = await runConfig('shulhan-smtp', { 'accounts.json': blockOf('shulhan-smtp', 'json') })
  const [smtp = 0, submission = 0] = ours.ports
  using client = await SocketClient.ready(smtp)
  const replies = await say(client, [
    'MAIL FROM:<a@example.net>',
    'RCPT TO:<nobody@example.com>',
    'RCPT TO:<b@elsewhere.example>',
    'RCPT TO:<John@example.org>',
    'RCPT TO:<sales+today@example.com>',
    'RCPT TO:<postmaster@example.org>',
    'DATA',
    STUFFED,
  ])
  expect(replies).toEqual([
    '250 2.1.0',
    '550 5.1.1',
    '550 5.7.1',
    '250 2.1.5',
    '250 2.1.5',
    '250 2.1.5',
    '354',
    '250 2.0.0',
  ])
  using user = await SocketClient.ready(submission)
  await user.expectAll(['STARTTLS'])
  await user.startTls()
  const logins = [
    plain('john@example.org', 'secret'),
    plain('jane@example.com', 'secret'),
    'MAIL FROM:<jane@example.com>',
  ]
  expect(await say(user, ['EHLO client.example', ...logins, 'VRFY sales@example.com'])).toEqual([
    '250',
    '535 5.7.8',
    '235 2.7.0',
    '250 2.1.0',
    '250 2.1.5',
  ])
  const [record] = await ours.records()
  expect(record?.forwardPaths.map(({ accounts }) => accounts)).toEqual([
    ['john@example.org'],
    ['jane@example.com', 'john@example.org'],
    [],
  ])
  expect(await ours.sent(record?.id ?? '')).toBe(TEXT)
  const [line] = await ours.says(/^\w+ for .*\n/m)
  expect(line).toBe(`${record?.id} for John@example.org, sales+today@example.com, postmaster@example.org\n`)
})

test('the file for those who come from Haraka asks its guard, and knows its users', async () => {
  const ours = await runConfig('haraka', {})
  const [smtp = 0, submission = 0] = ours.ports
  using client = await SocketClient.ready(smtp)
  expect((await client.command('MAIL FROM:<a@spam.example>')).text).toBe('550 5.7.1 No mail from there')
  const lines = [
    'MAIL FROM:<a@example.net>',
    'RCPT TO:<b@elsewhere.example>',
    'RCPT TO:<b@example.com>',
    'DATA',
    STUFFED,
  ]
  expect(await say(client, lines)).toEqual(['250 2.1.0', '550 5.7.1', '250 2.1.5', '354', '250 2.0.0'])
  using user = await SocketClient.ready(submission)
  expect(await say(user, ['MAIL FROM:<ann@example.com>', 'STARTTLS'])).toEqual(['530 5.7.0', '220 2.0.0'])
  await user.startTls()
  expect(await say(user, ['EHLO client.example', plain('ann', 'tiger')])).toEqual(['250', '235 2.7.0'])
  const records = await ours.records()
  expect(addressesOf(records)).toEqual([['a@example.net', 'b@example.com']])
  expect(await ours.sent(records[0]?.id ?? '')).toBe(TEXT)
})
