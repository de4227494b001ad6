/** Which recipients have a mailbox in a store of Maildirs, and which directories mail creates: only those that the option allows. */
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Path } from '@postern/engine'
import { type MailRecord, refuseUnknown } from '@postern/storage'
import { maildir, type MailboxCreation } from '@postern/storage/maildir'
import { expect, test } from 'vitest'
import { expectCode, pattern } from './blob-contract.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { idsOf } from '../../../test/contracts/mail/opened.ts'
import { bytesOf, idAt, messageOf, SESSION } from '../../../test/contracts/mail/messages.ts'

const parent = temporaryDirectory()
const HOST = 'mx1.example.net'

interface Store {
  readonly directory: string
  accepts(address: string): Promise<boolean>
  send(to: readonly string[], chunks?: readonly Uint8Array[]): Promise<MailRecord>
  /** Returns the code of the reply to RCPT, or 250. */
  rcpt(address: string): Promise<number>
  ids(): Promise<string[]>
}

function open(create?: MailboxCreation, directory: string = mkdtempSync(join(parent, 'store-'))): Store {
  const mail = maildir(directory, { hostname: HOST, ...(create !== undefined && { create }) })
  const unknown = refuseUnknown(mail)
  return {
    directory,
    accepts: async (address) => (await mail.accepts?.(pathOf(address))) ?? true,
    rcpt: async (address) => (await unknown(pathOf(address)))?.code ?? 250,
    send(to, chunks = [bytesOf('Subject: x\r\n\r\nhello\r\n')]) {
      const message = messageOf(idAt(Date.now()), chunks)
      const forwardPaths = to.map((address) => ({ ...pathOf(address), parameters: new Map<string, string>() }))
      return mail.save({ ...message, envelope: { ...message.envelope, forwardPaths } }, SESSION)
    },
    ids: async () => idsOf(await mail.list()),
  }
}

function pathOf(address: string): Path {
  const at = address.lastIndexOf('@')
  return at < 0
    ? { address, localPart: address, domain: '' }
    : { address, localPart: address.slice(0, at), domain: address.slice(at + 1) }
}

function makeMailbox({ directory }: Store, mailbox: string, folders: readonly string[] = ['new', 'cur', 'tmp']): void {
  for (const folder of folders) mkdirSync(join(directory, mailbox, folder), { recursive: true })
}

/** Returns the paths of all directories except the store's own. */
function directoriesIn({ directory }: Store): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .filter((path) => !/^\.(?:records|tmp)/.test(path))
    .toSorted()
}

/** Returns the messages in mailboxes. */
function messagesIn({ directory }: Store): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /^[^.].*\/(?:new|cur|tmp)\/[^/]+$/.test(path),
  )
}

test('without an option, only recipients with a Maildir are accepted, and mail creates no other', async () => {
  const store = open()
  makeMailbox(store, 'example.com/ann')
  const before = directoriesIn(store)
  for (const address of ['ann@example.com', 'Ann@EXAMPLE.com', 'ann+shop@example.com']) {
    expect(await store.accepts(address), address).toBe(true)
    await store.send([address])
  }
  for (const address of ['bob@example.com', 'ann@example.org', '../ann@example.com', 'ann@[192.0.2.1]', 'ann@..']) {
    expect(await store.accepts(address), address).toBe(false)
    expect(await store.rcpt(address)).toBe(550)
    for (const chunks of [[bytesOf('small')], [pattern(200_000)]]) {
      await expectCode('unavailable', () => store.send([address], chunks))
    }
  }
  expect(directoriesIn(store)).toEqual(before)
  expect(messagesIn(store)).toHaveLength(3)
  expect(await store.ids()).toHaveLength(3)
})

test('a directory that is not a Maildir is not a mailbox, and the missing folders of a Maildir are created', async () => {
  const store = open()
  makeMailbox(store, 'example.com/empty', ['.'])
  makeMailbox(store, 'example.com/backup', ['2025', '2026'])
  makeMailbox(store, 'example.com/ann', ['cur'])
  writeFileSync(join(store.directory, 'example.com/notes'), '')
  expect(await store.rcpt('empty@example.com')).toBe(550)
  expect(await store.rcpt('backup@example.com')).toBe(550)
  await expectCode('denied', () => store.rcpt('notes@example.com'))
  expect(await store.rcpt('ann@example.com')).toBe(250)
  await store.send(['ann@example.com'])
  expect(readdirSync(join(store.directory, 'example.com/ann')).toSorted()).toEqual(['cur', 'new', 'tmp'])
  expect(readdirSync(join(store.directory, 'example.com/backup')).toSorted()).toEqual(['2025', '2026'])
})

test('a thousand invented recipients create no directory', async () => {
  const store = open()
  makeMailbox(store, 'example.com/ann')
  const before = directoriesIn(store)
  const addresses = Array.from({ length: 1000 }, (_, index) => `user${index}@d${index}.example`)
  await expectCode('unavailable', () => store.send(['ann@example.com', ...addresses]))
  expect(directoriesIn(store)).toEqual(before)
  expect(messagesIn(store)).toEqual([])
  expect(await store.ids()).toEqual([])
})

test('if a mailbox is removed after RCPT, the message is kept for no recipient, and the mailbox is not created again', async () => {
  const store = open()
  makeMailbox(store, 'example.com/ann')
  makeMailbox(store, 'example.com/bob')
  const to = ['ann@example.com', 'bob@example.com']
  // The same holds if the store has used the mailbox before.
  for (const isKnown of [false, true]) {
    if (isKnown) await store.send(to)
    const count = messagesIn(store).length
    for (const address of to) expect(await store.accepts(address)).toBe(true)
    rmSync(join(store.directory, 'example.com/bob'), { recursive: true })
    for (const chunks of [[bytesOf('small')], [pattern(200_000)]]) {
      await expectCode('unavailable', () => store.send(to, chunks))
      await expectCode('unavailable', () => store.send(to.toReversed(), chunks))
    }
    expect(readdirSync(join(store.directory, 'example.com'))).toEqual(['ann'])
    expect(messagesIn(store)).toHaveLength(isKnown ? count / 2 : count)
    expect(await store.rcpt('bob@example.com')).toBe(550)
    makeMailbox(store, 'example.com/bob')
  }
  await store.send(to)
})

test('domain: mailboxes are created if the directory of the domain exists', async () => {
  const store = open('domain')
  mkdirSync(join(store.directory, 'example.com'))
  expect(await store.rcpt('ann@example.com')).toBe(250)
  expect(directoriesIn(store)).toEqual(['example.com'])
  await store.send(['ann@example.com', 'bob@example.com'])
  expect(messagesIn(store)).toHaveLength(2)
  expect(await store.rcpt('ann@example.org')).toBe(550)
  await expectCode('unavailable', () => store.send(['ann@example.com', 'ann@example.org']))
  expect(readdirSync(store.directory).filter((name) => !name.startsWith('.'))).toEqual(['example.com'])
})

test('any: every recipient gets a mailbox', async () => {
  const store = open('any')
  expect(await store.rcpt('ann@example.com')).toBe(250)
  await store.send(['ann@example.com', 'bob@[192.0.2.1]'])
  expect(messagesIn(store)).toHaveLength(2)
})

test.each([undefined, 'domain'] as const)(
  'the postmaster gets a mailbox, but no other recipient of its domain does (create: %s)',
  async (create) => {
    const store = open(create)
    for (const address of ['postmaster', 'Postmaster', `postmaster@${HOST}`, `POSTMASTER@${HOST.toUpperCase()}`]) {
      expect(await store.rcpt(address), address).toBe(250)
    }
    expect(await store.rcpt('postmaster@example.com')).toBe(550)
    expect(directoriesIn(store)).toEqual([])
    await Promise.all([store.send(['postmaster']), store.send([`postmaster@${HOST}`])])
    const mailbox = `${HOST}/postmaster`
    const made = [
      HOST,
      `${HOST}/.only-postmaster`,
      mailbox,
      ...['cur', 'new', 'tmp'].map((name) => `${mailbox}/${name}`),
    ]
    expect(directoriesIn(store)).toEqual(made)
    expect(messagesIn(store)).toHaveLength(2)
    expect(await store.rcpt(`ann@${HOST}`)).toBe(550)
    await expectCode('unavailable', () => store.send([`ann@${HOST}`]))
    // A store that is opened later gives the same answers.
    expect(await open(create, store.directory).rcpt(`ann@${HOST}`)).toBe(550)
    expect(directoriesIn(store)).toEqual(made)
    // This holds until the operator creates the directory.
    rmdirSync(join(store.directory, HOST, '.only-postmaster'))
    expect(await store.rcpt(`ann@${HOST}`)).toBe(create === 'domain' ? 250 : 550)
  },
)

test.each([undefined, 'domain'] as const)(
  'each domain with a directory has a postmaster (create: %s)',
  async (create) => {
    const store = open(create)
    mkdirSync(join(store.directory, 'example.com'))
    expect(await store.rcpt('Postmaster@example.com')).toBe(250)
    await store.send(['postmaster@example.com'])
    expect(readdirSync(join(store.directory, 'example.com'))).toEqual(['postmaster'])
    expect(await store.rcpt('ann@example.com')).toBe(create === 'domain' ? 250 : 550)
  },
)

test('an empty directory of the operator for the host still accepts recipients after its postmaster got mail', async () => {
  const store = open('domain')
  mkdirSync(join(store.directory, HOST))
  await store.send(['postmaster'])
  expect(await store.rcpt(`ann@${HOST}`)).toBe(250)
})

test.each(['example.com', 'example.com/ann', 'example.com/ann/new'])(
  'if %s is a symbolic link, the recipient gets a temporary refusal',
  async (link) => {
    for (const create of ['none', 'domain'] as const) {
      const store = open(create)
      const elsewhere = mkdtempSync(join(parent, 'elsewhere-'))
      makeMailbox(store, 'example.com/ann')
      rmSync(join(store.directory, link), { recursive: true })
      mkdirSync(dirname(join(store.directory, link)), { recursive: true })
      symlinkSync(elsewhere, join(store.directory, link))
      if (create === 'none' || !link.endsWith('/new')) await expectCode('denied', () => store.rcpt('ann@example.com'))
      await expectCode('denied', () => store.send(['ann@example.com']))
      expect(readdirSync(elsewhere)).toEqual([])
    }
  },
)

test('while the store is lost, no recipient is refused as unknown', async () => {
  const store = open()
  makeMailbox(store, 'example.com/ann')
  rmSync(store.directory, { recursive: true })
  await expectCode('lost', () => store.rcpt('ann@example.com'))
  mkdirSync(store.directory)
  await expectCode('lost', () => store.rcpt('ann@example.com'))
})

test('any other value of the option is rejected', () => {
  for (const create of ['', 'all', 'None', true]) {
    expect(() => open(create as MailboxCreation)).toThrow(
      new RangeError(`create: ${String(create)} is neither none nor domain nor any`),
    )
  }
})
