/** Maildirs: where mail is delivered, what a reader may do with it, and what is left after a failure. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Path } from '@postern/engine'
import { type MailRecord, mailStore, type MailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { maildir } from '@postern/storage/maildir'
import { describe, expect, test } from 'vitest'
import { maildirOn } from '../src/maildir/index.ts'
import { expectCode, inParallel, pattern } from './blob-contract.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { type Before, systemError, watchedDisk } from './disks.ts'
import { ABORTED, bytesOf, idAt, messageOf, SESSION, textOf, TRACE } from '../../../test/contracts/mail/messages.ts'
import { allPages, idsOf, type OpenedMail } from '../../../test/contracts/mail/opened.ts'
import { mailChecks } from '../../../test/contracts/mail/mail.ts'

const parent = temporaryDirectory()
const HOST = 'mx1.example.net'
const TOP = Buffer.concat([bytesOf('Return-Path: <ann@example.org>\r\n'), TRACE])

function freshDirectory(): string {
  return mkdtempSync(join(parent, 'store-'))
}

/** Returns the messages in mailboxes, by their paths below the store. */
function messagesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\/(?:new|cur|tmp)\/[^/]+$/.test(path))
    .toSorted()
}

function envelopesIn(directory: string): string[] {
  return readdirSync(join(directory, '.records'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.json'),
  )
}

async function openFresh(): Promise<OpenedMail> {
  const directory = freshDirectory()
  return {
    mail: maildir(directory, { hostname: HOST, create: 'any' }),
    stored: async () => {
      const names = [...messagesIn(directory), ...envelopesIn(directory)]
      return names.map((name) => name.replace(/.*\/(?:\d+\.)?([0-9A-Z]{26}).*/, '$1')).toSorted()
    },
    namesOf: (...ids) => ids.flatMap((id) => [id, id]).toSorted(),
    top: TOP,
    added: (saved) => ({
      maildir: {
        // The message has random bytes, so it has bare LF.
        file: `${Math.floor(Date.parse(saved.receivedAt) / 1000)}.${saved.id}.${HOST},S=${saved.size}`,
        mailboxes: ['%5B192.0.2.1%5D/b%20c'],
        lineEnding: 'CRLF',
      },
    }),
  }
}

describe('the contract of each MailStore', () => {
  for (const { name, look } of mailChecks) if (look !== undefined) test(name, () => look(openFresh))
})

/** Makes a recipient in the terms of the grammar. */
function to(address: string): Path {
  const at = address.lastIndexOf('@')
  return { address, localPart: address.slice(0, at), domain: address.slice(at + 1) }
}

interface Sent {
  readonly id?: string
  readonly to?: readonly (string | Path)[]
  readonly chunks?: readonly (Uint8Array | Error)[]
}

const TEXT = 'Subject: hello\r\n\r\nGood day.\r\n'

function send(mail: MailStore, { id = idAt(Date.now()), to: paths = ['ann@example.com'], chunks }: Sent = {}) {
  const message = messageOf(id, chunks ?? [bytesOf(TEXT)])
  const forwardPaths = paths.map((path) => ({
    ...(typeof path === 'string' ? to(path) : path),
    parameters: new Map<string, string>(),
  }))
  return mail.save({ ...message, envelope: { ...message.envelope, forwardPaths } }, SESSION)
}

function pathOf(directory: string, record: MailRecord, mailbox = 'example.com/ann', folder = 'new'): string {
  return join(directory, mailbox, folder, record.maildir?.file ?? '')
}

describe('delivery', () => {
  test('writes one file into the folder new of each recipient, with LF line ends and a standard name', async () => {
    const directory = freshDirectory()
    const mail = maildir(directory, { hostname: 'mx:1/a', create: 'any' })
    const id = idAt('2026-11-21T05:42:07.123Z')
    const record = await send(mail, { id, to: ['ann@example.com', 'bob@Example.ORG'] })
    const text = `${textOf(TOP)}${TEXT}`
    const stored = text.replaceAll('\r\n', '\n')
    const name = `1795239727.${id}.mx\\0721\\057a,S=${stored.length},W=${text.length}`
    expect(messagesIn(directory)).toEqual([`example.com/ann/new/${name}`, `example.org/bob/new/${name}`])
    expect(record.maildir).toEqual({
      file: name,
      mailboxes: ['example.com/ann', 'example.org/bob'],
      lineEnding: 'LF',
    })
    const [one, other] = record.maildir?.mailboxes.map((mailbox) => lstatSync(pathOf(directory, record, mailbox))) ?? []
    expect([one?.ino, one?.nlink]).toEqual([other?.ino, 2])
    expect((one?.mode ?? 0) & 0o777).toBe(0o600)
    for (const folder of ['', 'new', 'cur', 'tmp']) {
      expect(statSync(join(directory, 'example.com/ann', folder)).mode & 0o777).toBe(0o700)
    }
    expect(readFileSync(pathOf(directory, record), 'latin1')).toBe(stored)
    // The record describes the message as the client sent it.
    expect(record.size).toBe(text.length)
    expect(textOf(await (await mail.load(id)).bytes())).toBe(text)
  })

  test('records what is known after the last byte of the message, and where it was delivered', async () => {
    const mail = maildir(freshDirectory(), { hostname: HOST, create: 'any' })
    const verdicts = { scanner: 'pass' }
    for (const facts of [() => ({ verdicts }), () => Promise.resolve({ verdicts })]) {
      const message = { ...messageOf(idAt(Date.now()), [bytesOf(TEXT)]), facts }
      const record = await mail.save(message, SESSION)
      expect(record).toMatchObject({ verdicts, maildir: { mailboxes: ['%5B192.0.2.1%5D/b%20c'], lineEnding: 'LF' } })
      expect((await mail.load(record.id)).record).toEqual(record)
    }
  })

  test('writes one copy for two recipients that share a mailbox', async () => {
    const directory = freshDirectory()
    const record = await send(maildir(directory, { create: 'any' }), {
      to: ['ann@example.com', 'Ann@EXAMPLE.com', 'ann+shop@example.com', '"ann"@example.com'].map((address) =>
        address.startsWith('"') ? { ...to(address), localPart: 'ann' } : address,
      ),
    })
    expect(record.maildir?.mailboxes).toEqual(['example.com/ann'])
    expect(record.forwardPaths).toHaveLength(4)
    expect(messagesIn(directory)).toHaveLength(1)
  })

  test('delivers to a thousand recipients', async () => {
    const directory = freshDirectory()
    const mail = maildir(directory, { create: 'any' })
    const addresses = Array.from({ length: 1000 }, (_, index) => `user${index}@example.com`)
    const record = await send(mail, { to: addresses })
    expect(messagesIn(directory)).toHaveLength(1000)
    expect(lstatSync(pathOf(directory, record, 'example.com/user999')).nlink).toBe(1000)
    await mail.delete(record.id)
    expect(messagesIn(directory)).toEqual([])
  })

  test('refuses a message without recipients', async () => {
    const directory = freshDirectory()
    await expectCode('unavailable', () => send(maildir(directory, { create: 'any' }), { to: [] }))
    expect([messagesIn(directory), envelopesIn(directory)]).toEqual([[], []])
  })

  test('leaves the first message unchanged if a second one has the same id', async () => {
    const directory = freshDirectory()
    const mail = maildir(directory, { create: 'any' })
    const { id } = await send(mail, { chunks: [bytesOf('first')] })
    const all = messagesIn(directory)
    // The same holds if a reader has moved the first message.
    for (const taken of [false, true]) {
      if (taken) renameSync(join(directory, all[0] ?? ''), join(directory, (all[0] ?? '').replace('/new/', '/cur/')))
      await expectCode('exists', () => send(mail, { id, chunks: [bytesOf('second')] }))
      expect(messagesIn(directory)).toHaveLength(1)
      expect(textOf(await (await mail.load(id)).bytes())).toBe(`${textOf(TOP)}first`)
    }
  })

  test('creates a mailbox again if another program removed it', async () => {
    const directory = freshDirectory()
    const mail = maildir(directory, { create: 'any' })
    for (const gone of ['example.com/ann', 'example.com', 'example.com/ann/tmp', 'example.com/ann/new']) {
      await send(mail)
      rmSync(join(directory, gone), { recursive: true })
      const record = await send(mail)
      expect(existsSync(pathOf(directory, record)), gone).toBe(true)
      for (const folder of ['new', 'cur', 'tmp'])
        expect(existsSync(join(directory, 'example.com/ann', folder))).toBe(true)
    }
  })

  test('does not deliver into a mailbox that is a symbolic link', async () => {
    const directory = freshDirectory()
    const mail = maildir(directory, { create: 'any' })
    const elsewhere = freshDirectory()
    mkdirSync(join(directory, 'example.com'))
    symlinkSync(elsewhere, join(directory, 'example.com/ann'))
    await expectCode('denied', () => send(mail, { to: ['bob@example.com', 'ann@example.com'] }))
    expect(readdirSync(elsewhere)).toEqual([])
    expect([messagesIn(directory), envelopesIn(directory), idsOf(await mail.list())]).toEqual([[], [], []])
  })
})

describe('what a reader does', () => {
  /** Marks the message as seen, as a reader does: it moves the file and adds flags to the name. */
  function take(directory: string, record: MailRecord, flags: string, mailbox?: string): string {
    const path = `${pathOf(directory, record, mailbox, 'cur')}:2,${flags}`
    renameSync(pathOf(directory, record, mailbox), path)
    return path
  }

  test.each(['', 'S', 'FRS', 'DFPRSTabc'])(
    'a message that was moved to cur with the flags "%s" is found, read and deleted',
    async (flags) => {
      const directory = freshDirectory()
      const mail = maildir(directory, { create: 'any' })
      const record = await send(mail)
      take(directory, record, flags)
      expect(idsOf(await mail.list())).toEqual([record.id])
      await (await mail.load(record.id)).verify()
      expect(await mail.sweep({ olderThanMs: 0 })).toEqual({ messages: 0, temporary: 0 })
      await mail.delete(record.id)
      expect([messagesIn(directory), envelopesIn(directory)]).toEqual([[], []])
    },
  )

  test('a message is found if another program corrected the sizes in its name', async () => {
    const directory = freshDirectory()
    const mail = maildir(directory, { create: 'any' })
    const record = await send(mail)
    const path = pathOf(directory, record, undefined, 'cur')
    renameSync(pathOf(directory, record), path.replace(/,S=.*/, ',S=7:2,S'))
    await (await mail.load(record.id)).verify()
  })

  test('a message that was removed from all mailboxes is no longer listed, and a sweep removes its envelope', async () => {
    const directory = freshDirectory()
    const mail = maildir(directory, { create: 'any' })
    const [kept, record] = [await send(mail), await send(mail, { to: ['ann@example.com', 'bob@example.com'] })]
    const held = await mail.load(record.id)
    rmSync(take(directory, record, 'S'))
    // The other recipient still has the message.
    await held.verify()
    expect(idsOf(await mail.list())).toEqual([record.id, kept.id].toSorted().toReversed())
    rmSync(pathOf(directory, record, 'example.com/bob'))
    expect(await mail.list()).toEqual({ records: [kept], corrupt: [] })
    await expectCode('not-found', () => held.bytes())
    await expectCode('not-found', () => mail.load(record.id))
    await expectCode('not-found', () => mail.delete(record.id))
    await expectCode('not-found', () => mail.bounce(record.id, { reason: 'x' }))
    expect(await mail.sweep()).toEqual({ messages: 0, temporary: 0 })
    expect(envelopesIn(directory)).toHaveLength(2)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await mail.sweep({ olderThanMs: 5 })).toEqual({ messages: 1, temporary: 0 })
    expect(envelopesIn(directory)).toHaveLength(1)
    await (await mail.load(kept.id)).verify()
  })

  test('a message is found while a reader changes its flags all the time', async () => {
    const directory = freshDirectory()
    const mail = maildir(directory, { create: 'any' })
    const large = pattern(200_000).map((octet) => octet & 0x5f)
    const records = await Promise.all(Array.from({ length: 20 }, () => send(mail, { chunks: [large] })))
    const names = new Map(records.map((record) => [record.id, pathOf(directory, record)]))
    let changes = 0
    const timer = setInterval(() => {
      for (const record of records) {
        const flags = ['', 'S', 'PST', 'FPRST', 'DFPRST'][changes++ % 5]
        const next = `${pathOf(directory, record, undefined, 'cur')}:2,${flags}`
        renameSync(names.get(record.id) ?? '', next)
        names.set(record.id, next)
      }
    }, 1)
    try {
      for (let round = 0; round < 20; round++) {
        expect((await mail.list()).records).toHaveLength(20)
        await Promise.all(records.map(async ({ id }) => (await mail.load(id)).verify()))
      }
    } finally {
      clearInterval(timer)
    }
    expect(changes).toBeGreaterThan(100)
  })

  test('a changed file is reported as corrupt, whatever the change', async () => {
    const directory = freshDirectory()
    const mail = maildir(directory, { create: 'any' })
    const changes: ((text: string) => string)[] = [
      (text) => `${text}x`,
      (text) => text.slice(1),
      (text) => text.replace('Good', 'Bad.'),
      (text) => text.replace('\n', '\r\n'),
    ]
    for (const change of changes) {
      const record = await send(mail)
      const path = pathOf(directory, record)
      writeFileSync(path, change(readFileSync(path, 'latin1')), 'latin1')
      const stored = await mail.load(record.id)
      await expectCode('corrupt', () => stored.verify())
      await expectCode('corrupt', () => stored.bytes())
      await mail.delete(record.id)
    }
  })

  test('an envelope that points outside the store is corrupt, and no file there is touched', async () => {
    const directory = freshDirectory()
    const mail = maildir(directory, { create: 'any' })
    const record = await send(mail)
    const envelope = join(directory, '.records', envelopesIn(directory)[0] ?? '')
    const { file = '' } = record.maildir ?? {}
    writeFileSync(join(parent, file), 'not ours')
    const places: unknown[] = [
      undefined,
      { ...record.maildir, mailboxes: [] },
      { ...record.maildir, mailboxes: ['..'] },
      { ...record.maildir, mailboxes: ['../..'] },
      { ...record.maildir, mailboxes: ['example.com/..'] },
      { ...record.maildir, mailboxes: ['example.com/ann/new'] },
      { ...record.maildir, mailboxes: ['.records/2026'] },
      { ...record.maildir, mailboxes: ['/etc'] },
      { ...record.maildir, file: `../../../../${file}` },
      { ...record.maildir, file: file.replace(record.id, idAt(0)) },
      { ...record.maildir, file: 'x' },
    ]
    for (const place of places) {
      writeFileSync(envelope, JSON.stringify({ ...record, maildir: place }))
      await expectCode('corrupt', () => mail.load(record.id))
      expect(await mail.list()).toEqual({ records: [], corrupt: [record.id] })
      expect(await mail.sweep({ olderThanMs: 0 })).toEqual({ messages: 0, temporary: 0 })
    }
    await mail.delete(record.id)
    expect(envelopesIn(directory)).toEqual([])
    // Files in the mailbox belong to its reader.
    expect(messagesIn(directory)).toHaveLength(1)
    expect(readFileSync(join(parent, file), 'utf8')).toBe('not ours')
  })
})

describe('failures', () => {
  interface Broken {
    readonly mail: MailStore
    readonly directory: string
    /** Decides which calls of the disk fail. */
    breakAt(fails: Before): void
  }

  function broken(): Broken {
    const directory = freshDirectory()
    let fails: Before = () => undefined
    const disk = watchedDisk((call, args) => fails(call, args))
    return {
      directory,
      mail: maildirOn(disk, directory, { hostname: HOST, create: 'any' }),
      breakAt: (now) => void (fails = now),
    }
  }

  const isIn = (args: readonly unknown[], part: string): boolean => args.some((arg) => String(arg).includes(part))

  test.each([
    ['the link of the second recipient', 'link', '/bob/new/', 'EIO', 'unavailable'],
    ['the link of the first', 'link', '/ann/new/', 'ENOSPC', 'no-space'],
    ['a mailbox', 'mkdir', '/bob', 'EACCES', 'denied'],
    ['making the links safe', 'open', '/bob/new', 'EIO', 'unavailable'],
    ['the envelope', 'link', '.json', 'ENOSPC', 'no-space'],
    ['the file', 'open', '/ann/tmp/', 'EDQUOT', 'no-space'],
  ] as const)('%s fails: it is in no mailbox, and nowhere else', async (_, call, part, code, expected) => {
    const { mail, directory, breakAt } = broken()
    const fine = await send(mail, { to: ['carl@example.com'] })
    breakAt((now, args) => {
      if (now === call && isIn(args, part)) throw systemError(code, call)
    })
    await expectCode(expected, () => send(mail, { to: ['ann@example.com', 'bob@example.com'] }))
    breakAt(() => undefined)
    expect(messagesIn(directory)).toEqual([`example.com/carl/new/${fine.maildir?.file}`])
    expect(idsOf(await mail.list())).toEqual([fine.id])
    expect(envelopesIn(directory)).toHaveLength(1)
    await send(mail, { to: ['ann@example.com', 'bob@example.com'] })
    expect(messagesIn(directory)).toHaveLength(3)
  })

  test('a failed fsync is not tried again', async () => {
    const { mail, directory, breakAt } = broken()
    let left = 1
    breakAt((call) => {
      if (call === 'fsync' && left-- > 0) throw systemError('EIO', 'fsync')
    })
    await expectCode('unavailable', () => send(mail))
    expect([messagesIn(directory), envelopesIn(directory)]).toEqual([[], []])
  })

  test('a message is visible only after its bytes and envelope are synced, and saved only after its links are', async () => {
    const calls: string[] = []
    const { mail, directory, breakAt } = broken()
    await send(mail, { to: ['ann@example.com', 'bob@example.org'] })
    breakAt((call, args) => {
      const text = args
        .map(String)
        .join(' ')
        .replaceAll(directory, '')
        .replaceAll(/\d+\.[0-9A-Z]{26}\.\S*/g, 'F')
      if (call === 'link')
        calls.push(`link ${text.replaceAll(/\/\S*\.json/g, 'E').replaceAll(/\/.records\/.tmp\S*/g, 'T')}`)
      if (call === 'fsync') calls.push('fsync')
    })
    await send(mail, { to: ['ann@example.com', 'bob@example.org'] })
    const links = calls.filter((call) => call.startsWith('link'))
    expect(links[0]).toBe('link T E')
    expect(links.slice(1).toSorted()).toEqual([
      'link /example.com/ann/tmp/F /example.com/ann/new/F',
      'link /example.com/ann/tmp/F /example.org/bob/new/F',
    ])
    const order = calls.map((call) => (call.startsWith('link') ? (call.endsWith('E') ? 'E' : 'L') : 's')).join('')
    // Fsyncs of the bytes, of the envelope, its name and its directory, and of the names in two mailboxes and their directories.
    expect(order).toBe('ssEsLLss')
  })

  test('a message is not saved until the folder new of each recipient is synced', async () => {
    const { mail, directory, breakAt } = broken()
    const gate = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    breakAt((call, args) => {
      if (call !== 'open' || !String(args[0]).endsWith('/bob/new')) return undefined
      reached.resolve()
      return gate.promise
    })
    let isSaved = false
    const saving = send(mail, { to: ['ann@example.com', 'bob@example.org'] }).then(() => (isSaved = true))
    await reached.promise
    // By then the save has done all its other work.
    while (readdirSync(join(directory, 'example.com/ann/tmp')).length > 0) await new Promise(setImmediate)
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
    expect(isSaved).toBe(false)
    gate.resolve()
    await saving
  })

  test.each([0, 1, 5])('a message that is cut off after %i chunks leaves no file', async (count) => {
    const directory = freshDirectory()
    const mail = maildir(directory, { create: 'any' })
    const chunks = [...Array.from({ length: count }, () => pattern(40_000)), ABORTED]
    await expect(send(mail, { chunks })).rejects.toBe(ABORTED)
    expect([messagesIn(directory), envelopesIn(directory)]).toEqual([[], []])
  })

  test('a sweep removes only old files of deliveries from tmp', async () => {
    const directory = freshDirectory()
    const mail = maildir(directory, { hostname: HOST, create: 'any' })
    const { maildir: places } = await send(mail)
    const [unique = ''] = places?.file.split(',') ?? []
    const temporary = join(directory, 'example.com/ann/tmp')
    const old = [`${unique}-0`, `${unique}-1`]
    const others = ['1795239727.M1P2.other', unique, `${unique}-x`, 'notes.txt']
    for (const name of [...old, ...others]) writeFileSync(join(temporary, name), 'x')
    expect(await mail.sweep()).toEqual({ messages: 0, temporary: 0 })
    const yesterday = new Date(Date.now() - 25 * 3_600_000)
    for (const name of [old[0] ?? '', ...others]) utimesSync(join(temporary, name), yesterday, yesterday)
    expect(await mail.sweep()).toEqual({ messages: 0, temporary: 1 })
    expect(readdirSync(temporary).toSorted()).toEqual([old[1], ...others].toSorted())
  })

  test('concurrent deliveries share their directory syncs', async () => {
    const { mail, breakAt } = broken()
    await send(mail)
    let directories = 0
    breakAt((call, args) => {
      if (call === 'open' && isIn(args, '/ann/new')) directories++
    })
    await inParallel([...Array(100).keys()], () => send(mail), 100)
    expect(directories).toBeLessThan(50)
    console.log(`100 deliveries to one mailbox at once: ${directories} fsyncs of its new`)
  })
})

describe('retention', () => {
  test('the newest messages that fit are kept, and messages that a reader removed do not count', async () => {
    const directory = freshDirectory()
    const mail = maildir(directory, { create: 'any' })
    const start = Date.now() - 3_600_000
    const records: MailRecord[] = []
    for (let index = 0; index < 12; index++) records.push(await send(mail, { id: idAt(start + index * 1000, index) }))
    const [first, , third] = records.slice(-4) as [MailRecord, MailRecord, MailRecord]
    rmSync(pathOf(directory, third))
    await mail.bounce(first.id, { reason: 'x' })
    const size = first.size
    expect(await mail.expire({ maxBytes: 5 * size + 1 })).toEqual({ messages: 6, bytes: 6 * size })
    const left = records.slice(-6).filter((record) => record !== third)
    expect((await allPages(mail, 100)).flatMap(idsOf)).toEqual(
      left
        .filter((record) => record !== first)
        .map(({ id }) => id)
        .toReversed(),
    )
    expect(messagesIn(directory)).toHaveLength(5)
    expect(await mail.expire({ maxCount: 3 })).toEqual({ messages: 2, bytes: 2 * size })
    expect(await mail.expire({ maxAgeMs: 1000 })).toEqual({ messages: 3, bytes: 3 * size })
    expect(messagesIn(directory)).toEqual([])
  })
})

describe('a directory', () => {
  test('of another layout is refused and not changed', async () => {
    const [blobs, mailboxes] = [freshDirectory(), freshDirectory()]
    await mailStore(fs(blobs)).sweep()
    await send(maildir(mailboxes, { create: 'any' }))
    const before = [readdirSync(blobs), readdirSync(mailboxes)]
    expect(() => maildir(blobs)).toThrow('holds mail in the layout fs 1, not maildir 1')
    expect(() => fs(mailboxes)).toThrow('open it as maildir: or name another directory')
    expect(() => fs(join(mailboxes, '.records'))).toThrow('maildir 1, not fs 1')
    expect([readdirSync(blobs), readdirSync(mailboxes)]).toEqual(before)
  })

  test('with existing Maildirs is used as it is', async () => {
    const directory = freshDirectory()
    for (const folder of ['new', 'cur', 'tmp']) {
      mkdirSync(join(directory, 'example.com/ann', folder), { recursive: true })
    }
    writeFileSync(join(directory, 'example.com/ann/cur/1700000000.M1P1.other:2,S'), 'Subject: older\n\n')
    const mail = maildir(directory, { create: 'any' })
    const record = await send(mail)
    expect(idsOf(await mail.list())).toEqual([record.id])
    await mail.delete(record.id)
    expect(messagesIn(directory)).toEqual(['example.com/ann/cur/1700000000.M1P1.other:2,S'])
  })

  test('can be opened for reading without a change', async () => {
    const directory = freshDirectory()
    const record = await send(maildir(directory, { create: 'any' }))
    const mail = maildir(directory, { writable: false })
    await (await mail.load(record.id)).verify()
    await expectCode('denied', () => send(mail))
    await expectCode('denied', () => mail.delete(record.id))
    expect(messagesIn(directory)).toHaveLength(1)
    expect(() => maildir(join(directory, 'none'), { writable: false })).toThrow('there is no such directory')
    const others = freshDirectory()
    mkdirSync(join(others, 'example.com/ann/cur'), { recursive: true })
    const empty = maildir(others, { writable: false })
    expect(await empty.list()).toEqual({ records: [], corrupt: [] })
    await expectCode('not-found', () => empty.load(record.id))
    expect(readdirSync(others)).toEqual(['example.com'])
  })

  test('is not opened with an invalid option', () => {
    for (const maxOpenFiles of [0, 1.5, Number.NaN]) {
      expect(() => maildir(freshDirectory(), { maxOpenFiles })).toThrow(RangeError)
    }
  })
})
