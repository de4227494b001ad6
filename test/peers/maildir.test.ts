/**
 * Programs that read Maildirs with mail that came by SMTP: Dovecot by IMAP, mutt, Python. The store sees the messages that they move,
 * flag and remove, and they see the messages that the store removes.
 */
import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MailRecord } from '@postern/storage'
import { maildir } from '@postern/storage/maildir'
import { afterAll, beforeAll, expect } from 'vitest'
import { SocketClient } from '../kit/client/socket-client.ts'
import { sendByBdat, sendByData } from '../corpus/send.ts'
import { DOVECOT, MUTT, PYTHON, ROOT, TERMINAL } from '../kit/abilities.ts'
import { testWith as everyWith } from '../kit/need.ts'
import { Dovecot } from './dovecot.ts'
import { type MailServer, posternOver, serveMail } from '../kit/postern.ts'
import { difference, idIn } from './store.ts'
import { Scratch } from '../kit/scratch.ts'
import { mustRun } from '../kit/tool.ts'
import { partly } from '../kit/partly.ts'

/** Each run makes one in two of the tests without a table. */
const testWith = partly(everyWith)

/** `nobody`: readers and server must run as the same user, and Dovecot serves no mail as root. */
const UID = 65_534

let scratch: Scratch
let store: string
let server: MailServer
let dovecot: Dovecot

beforeAll(async () => {
  if (ROOT.missing !== undefined) return
  scratch = await Scratch.make()
  await chmod(scratch.path, 0o755)
  store = scratch.join('vhosts')
  await mkdir(store, { mode: 0o700 })
  await chown(store, UID, UID)
  server = await serveMail({ store, layout: 'maildir', uid: UID })
  if (DOVECOT.missing === undefined) dovecot = await Dovecot.start(scratch, { mail: store, uid: UID })
})
afterAll(async () => {
  await dovecot?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await scratch?.[Symbol.asyncDispose]()
})

const MESSAGE = Buffer.from(
  [
    'From: Ann <ann@sender.example>',
    'To: bob@one.example, carl@two.example',
    'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=',
    'Date: Fri, 21 Nov 2025 05:42:00 +0000',
    'Message-ID: <1@sender.example>',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    'X-Folded: one',
    '\ttwo',
    '',
    'Schöne Grüße.',
    '.',
    'From here it goes on.',
    '',
    '',
  ].join('\r\n'),
)
const LARGE = Buffer.concat([MESSAGE, Buffer.from('0123456789abcdef\r\n'.repeat(20_000))])
/** A message with bare LF, which cannot be stored with LF line ends. */
const BINARY = Buffer.concat([MESSAGE, Buffer.from('one\ntwo\n\r\nthree\0\xff')])

/** Lines that end in CR CR LF. With LF for CRLF they would end in CR LF, which readers take for a line end. */
const CARRIAGES = Buffer.concat([MESSAGE, Buffer.from('one\r\r\ntwo\r\r\r\n\rthree\r\n')])

/** Sends a message. @returns its id */
async function deliver(to: readonly string[], bytes: Buffer = MESSAGE): Promise<string> {
  using client = await SocketClient.ready(server.port)
  const reply =
    bytes === BINARY || bytes === CARRIAGES
      ? await sendByBdat(client, { to, bytes, body: 'BINARYMIME' }, { chunks: 100, emptyLast: false })
      : await sendByData(client, { to, bytes, body: '8BITMIME' })
  expect(reply.code).toBe(250)
  return idIn(reply.text)
}

/** Returns the list of the store now. */
async function list(): Promise<readonly MailRecord[]> {
  const { records, corrupt } = await maildir(store, { writable: false }).list()
  expect(corrupt).toEqual([])
  return records
}

/** Returns the message as the store gives it: the added fields, then the sent bytes. */
async function raw(id: string, sent: Buffer): Promise<Buffer> {
  const bytes = Buffer.from(await (await maildir(store, { writable: false }).load(id)).bytes())
  expect(bytes.toString('latin1')).toMatch(/^Return-Path: <ann@sender\.example>\r\nReceived: from .*\r\n/)
  expect(difference(bytes.subarray(-sent.length), sent)).toBeUndefined()
  return bytes
}

/** Returns the files in a mailbox, by folder. */
async function files(mailbox: string): Promise<Record<string, string[]>> {
  const names = ['tmp', 'new', 'cur'].map(async (folder) => [folder, await readdir(join(store, mailbox, folder))])
  return Object.fromEntries(await Promise.all(names)) as Record<string, string[]>
}

function decoded(base64: unknown): Buffer {
  return Buffer.from(String(base64), 'base64')
}

/** The answer of FETCH for a message: the items as text, and the bytes of its literal. */
function fetched([status, data]: readonly [string, readonly unknown[]]): { items: string; bytes: Buffer } {
  expect(status).toBe('OK')
  const [[items, bytes], end] = data as [[string, string], string]
  return { items: `${decoded(items).toString()}${decoded(end).toString()}`, bytes: decoded(bytes) }
}

testWith(
  [DOVECOT],
  'Dovecot serves delivered mail byte for byte, and the list of the store follows its flags, moves and removals',
  async () => {
    const id = await deliver(['Bob@one.example', 'bob+tag@one.example', 'carl@Two.example'])
    const large = await deliver(['bob@one.example'], LARGE)
    const whole = await raw(id, MESSAGE)
    expect((await files('one.example/bob'))['new']).toHaveLength(2)

    const [selected, first, second, searched, flagged] = await dovecot.commands(
      'Bob@One.example',
      ['select'],
      ['fetch', '1', '(FLAGS RFC822.SIZE BODY.PEEK[])'],
      ['fetch', '2', '(FLAGS RFC822.SIZE BODY.PEEK[])'],
      ['search', '', 'HEADER', 'Message-ID', '<1@sender.example>'],
      ['store', '1', '+FLAGS', '(\\Seen \\Flagged)'],
    )
    expect(decoded(selected?.[1][0]).toString()).toBe('2')
    for (const [answer, bytes] of [[first, whole] as const, [second, await raw(large, LARGE)] as const]) {
      const { items, bytes: read } = fetched(answer ?? ['', []])
      expect(difference(read, bytes)).toBeUndefined()
      expect(items).toContain(`RFC822.SIZE ${bytes.length} `)
      expect(items).not.toContain('\\Seen')
    }
    expect(decoded(searched?.[1][0]).toString()).toBe('1 2')
    expect(flagged?.[0]).toBe('OK')

    // Dovecot moved the file to cur, with its flags in the name. The file of the other recipient is unchanged.
    const record = (await list()).find((each) => each.id === id)
    const file = record?.maildir?.file ?? ''
    expect(file).toContain(`,W=${whole.length}`)
    expect((await files('one.example/bob'))['cur']).toContain(`${file}:2,FS`)
    expect((await files('two.example/carl'))['new']).toEqual([file])
    expect((await list()).map((each) => each.id)).toEqual([large, id])
    await raw(id, MESSAGE)

    // One of two recipients removes the message, and the store still has it. Then the other one removes it.
    const removed = [['select'], ['store', '1', '+FLAGS', '\\Deleted'], ['expunge']]
    expect((await dovecot.commands('bob@one.example', ...removed)).map(([status]) => status)).toEqual([
      'OK',
      'OK',
      'OK',
    ])
    expect((await list()).map((each) => each.id)).toEqual([large, id])
    await dovecot.commands('carl@two.example', ...removed)
    expect((await list()).map((each) => each.id)).toEqual([large])
    const listed = await posternOver(store, ['list', '--json'], 'maildir')
    expect(JSON.parse(listed.stdout.toString())).toMatchObject({ records: [{ id: large }], corrupt: [] })
    const gone = await posternOver(store, ['show', id], 'maildir')
    expect([gone.code, gone.stderr]).toEqual([1, `postern: "${id}": there is no such message\n`])

    // Dovecot no longer has a message that the store removes.
    expect((await posternOver(store, ['delete', large], 'maildir')).code).toBe(0)
    const [empty] = await dovecot.commands('bob@one.example', ['select'])
    expect(decoded(empty?.[1][0]).toString()).toBe('0')

    // The store leaves other folders to the reader.
    const archived = await deliver(['bob@one.example'])
    await dovecot.commands(
      'bob@one.example',
      ['create', 'Archive'],
      ['select'],
      ['copy', '1', 'Archive'],
      ...removed.slice(1),
    )
    const [archive] = await dovecot.commands('bob@one.example', ['select', 'Archive'])
    expect(decoded(archive?.[1][0]).toString()).toBe('1')
    expect((await list()).map((each) => each.id)).not.toContain(archived)
    expect(await dovecot.log()).not.toMatch(/imap\(.*(?:Error|Warning|Panic|Corrupt)/)
  },
)

testWith([DOVECOT], 'Dovecot reads the size in the name also for a message with bare LF', async () => {
  const id = await deliver(['binary@one.example'], BINARY)
  await raw(id, BINARY)
  const [, answer] = await dovecot.commands(
    'binary@one.example',
    ['select'],
    ['fetch', '1', '(RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])'],
  )
  // IMAP shows each LF as CRLF. Only the store knows which were bare.
  const { items } = fetched(answer ?? ['', []])
  const stored = await raw(id, BINARY)
  expect(items).toContain(`RFC822.SIZE ${stored.length + 2} `)
  expect(await dovecot.log()).not.toMatch(/imap\(.*(?:Error|Warning|Panic|Corrupt)/)
})

testWith([DOVECOT], 'Dovecot serves a CR before the end of a line byte for byte', async () => {
  const id = await deliver(['carriages@one.example'], CARRIAGES)
  const whole = await raw(id, CARRIAGES)
  const [, answer] = await dovecot.commands(
    'carriages@one.example',
    ['select'],
    ['fetch', '1', '(RFC822.SIZE BODY.PEEK[])'],
  )
  const { items, bytes } = fetched(answer ?? ['', []])
  expect(items).toContain(`RFC822.SIZE ${whole.length} `)
  expect(difference(bytes, whole)).toBeUndefined()
  expect(await dovecot.log()).not.toMatch(/imap\(.*(?:Error|Warning|Panic|Corrupt)/)
})

testWith(
  [MUTT, TERMINAL, ROOT],
  'mutt shows delivered mail without any CR, and the store finds the messages that mutt has read',
  async () => {
    const id = await deliver(['mutt@one.example'])
    const mailbox = join(store, 'one.example/mutt')
    const out = (name: string): string => scratch.join(`mutt-${name}`)
    const settings = [
      'mbox_type=Maildir',
      `folder=${scratch.path}`,
      'nomove',
      'nowait_key',
      'quit=yes',
      'nopipe_decode',
    ]
    // Saves the decoded text that mutt passes to its pager.
    settings.push(`pager="cat %s > ${out('shown')}"`, 'noprompt_after')
    await writeFile(out('rc'), settings.map((setting) => `set ${setting}\n`).join(''))
    const keys = `<display-message><pipe-message>cat > ${out('bytes')}<enter><quit>`
    const mutt = `mutt -n -F ${out('rc')} -f ${mailbox} -e 'push "${keys}"'`
    const env = { TERM: 'vt100', HOME: scratch.path, LANG: 'C.UTF-8', PATH: '/usr/bin:/bin', SHELL: '/bin/sh' }
    // mutt needs a terminal.
    await mustRun('script', ['-qec', mutt, '/dev/null'], { env, timeoutMs: 30_000 })
    const shown = await readFile(out('shown'), 'utf8')
    expect(shown).toMatch(/^Subject: Grüße$/m)
    expect(shown).toMatch(/\n\nSchöne Grüße\.\n\.\nFrom here it goes on\.\n/)
    // mutt shows a CR as ^M.
    expect(shown).not.toContain('\r')
    const piped = await readFile(out('bytes'))
    const expected = Buffer.from(MESSAGE.toString().replaceAll('\r\n', '\n'))
    expect(difference(piped.subarray(-expected.length), expected)).toBeUndefined()
    const record = (await list()).find((each) => each.id === id)
    expect((await files('one.example/mutt'))['cur']).toEqual([`${record?.maildir?.file}:2,S`])
    await raw(id, MESSAGE)
  },
)

testWith([PYTHON, ROOT], 'the mailbox module of Python reads, flags and removes delivered mail', async () => {
  const id = await deliver(['python@one.example'])
  const script = `
import mailbox, json, sys, base64
box = mailbox.Maildir(sys.argv[1], create=False)
[key] = box.keys()
message = box[key]
print(json.dumps([key, message.get_subdir(), message["Subject"], message["Return-Path"], base64.b64encode(box.get_bytes(key)).decode()]))
message.set_subdir("cur")
message.add_flag("RS")
box[key] = message
box.remove(key) if sys.argv[2] == "remove" else None`
  const run = async (what: string): Promise<string[]> =>
    JSON.parse((await mustRun('python3', ['-c', script, join(store, 'one.example/python'), what])).stdout.toString())
  const [key, folder, subject, returnPath, bytes] = await run('keep')
  const whole = await raw(id, MESSAGE)
  expect([folder, subject, returnPath]).toEqual(['new', '=?utf-8?q?Gr=C3=BC=C3=9Fe?=', '<ann@sender.example>'])
  expect(decoded(bytes).toString()).toBe(whole.toString().replaceAll('\r\n', '\n'))
  expect((await files('one.example/python'))['cur']).toEqual([`${key}:2,RS`])
  expect((await list()).map((each) => each.id)).toContain(id)
  await run('remove')
  expect((await list()).map((each) => each.id)).not.toContain(id)
})
