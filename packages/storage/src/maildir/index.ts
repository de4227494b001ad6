/**
 * Mail in Maildirs, one for each recipient, as Dovecot, mutt and notmuch read them.
 *
 *     example.com/ann/new/1763703727.01KASJ3V5QCYF6Y3W9T2Z8N4RB.mx1,S=4711,W=4800        a message: one file, linked into each mailbox
 *     example.com/ann/cur/1763703727.01KASJ3V5QCYF6Y3W9T2Z8N4RB.mx1,S=4711,W=4800:2,S    the same after a reader saw it
 *     .records/2026/11/21/0542/01KASJ3V5QCYF6Y3W9T2Z8N4RB.json                               its envelope
 *
 * `save` syncs the bytes in `tmp`, then syncs the envelope, then links the message into every mailbox, and resolves when that is
 * durable. So each message in a mailbox has an envelope, and each message that was answered 250 is in its mailboxes. An envelope
 * without a message was not delivered, or a reader has removed the message from all its mailboxes. A sweep removes such envelopes once
 * they are old.
 *
 * place.ts says which mailbox an address has, creation.ts says which mailboxes are created when mail comes. All mailboxes have one owner, who also runs
 * the reader: files are 0600, directories 0700.
 */
import { existsSync } from 'node:fs'
import { hostname as systemHostname } from 'node:os'
import { join } from 'node:path'
import { StorageError } from '../blob/error.ts'
import { type FoundMail, foundMail } from '../upkeep/found.ts'
import { checkOpenFiles, diskDeps } from '../disk/deps.ts'
import { blockingDisk, type Disk, nodeDisk, readingDisk } from '../disk/disk.ts'
import type { FileStore } from '../fs/files/store.ts'
import { filesIn } from '../fs/index.ts'
import type { Layout } from '../disk/marker.ts'
import { openDirectory } from '../disk/opening.ts'
import { Root, type RootWatch } from '../disk/root.ts'
import { type IncomingMail, type IncomingSession, mailboxPaths, type RecipientPath } from '../record/incoming.ts'
import { keysOf } from '../record/layout.ts'
import type {
  ListMailOptions,
  MailPage,
  MailStore,
  StoredMail,
  WalkableMailStore,
  WalkedMail,
  WalkMailOptions,
} from '../mail/contract.ts'
import type { MailRecord } from '../record/record.ts'
import { mailStore } from '../mail/mail-store.ts'
import { type Expired, type ExpireOptions, expireMail, type Retention } from '../upkeep/retention.ts'
import { DAY_MS, type SweepOptions, type Swept } from '../upkeep/sweep.ts'
import { MaildirBlobs } from './blobs.ts'
import { checkCreation, type MailboxCreation } from './creation.ts'
import { Delivery, type MaildirDeps } from './delivery.ts'
import { Mailboxes } from './mailboxes.ts'
import { uniqueName } from './file-name.ts'
import { mailboxOf } from './place.ts'

export type { MailboxCreation } from './creation.ts'
export { uniqueName } from './file-name.ts'

export interface MaildirOptions extends RootWatch {
  /**
   * Which mailboxes the store creates when mail comes for them. `none`: none, so a recipient without a mailbox is
   * refused. `domain`: those of domains whose directory exists. `any`: all, so every client can create directories. The
   * postmaster's mailbox is always created. Default `none`.
   */
  readonly create?: MailboxCreation
  /**
   * The name of this host. It is a part of every file's name, and the domain of the recipient `postmaster`, which may
   * have none. Default: the system's host name.
   */
  readonly hostname?: string
  /**
   * The greatest number of messages over 64 KiB that are written at the same time, and the greatest number that are
   * read. Others wait. Default 1,024.
   */
  readonly maxOpenFiles?: number
  /**
   * Default true. False only reads a directory that exists: the store makes, tests and changes nothing, and writing is
   * `denied`.
   */
  readonly writable?: boolean
  /**
   * If true, calls to the operating system block the program. A program that does nothing else, such as an export, then needs half
   * of the time. Default false.
   */
  readonly blocking?: boolean
}

const LAYOUT: Layout = { name: 'maildir', version: 1 }
/** Hidden, so that it is no domain. */
const RECORDS = '.records'
const LOOKS_AT_ONCE = 16

/**
 * Opens a store of mail in the Maildirs `<directory>/<domain>/<local part>`. All of them must be on one file system.
 *
 * @throws StorageError at once if the directory cannot be used; its message says why. `other-layout` if the directory
 *   has mail in another layout. Then nothing is changed
 * @throws RangeError if an option is out of its range
 */
export function maildir(directory: string, options: MaildirOptions = {}): MailStore {
  return maildirOn(options.blocking === true ? blockingDisk : nodeDisk, directory, options)
}

/** Opens a store in the same way, on a disk that a test watches or makes fail. */
export function maildirOn(disk: Disk, directory: string, options: MaildirOptions = {}): MailStore {
  checkOpenFiles(options.maxOpenFiles)
  checkCreation(options.create)
  const { writable = true } = options
  const { root, records } = open(directory, writable)
  if (!writable) return storeOf(readingDisk(disk), new Root(disk, root), records, options)
  const watched = new Root(disk, root, { watch: options, reopen: () => void open(root, true) }).opened()
  return storeOf(disk, watched, records, options)
}

/** Opens the directory, and the one for envelopes in it. @returns their real paths */
function open(directory: string, writable: boolean): { readonly root: string; readonly records: string } {
  const { root } = openDirectory(directory, [LAYOUT], { writable })
  const records = join(root, RECORDS)
  // Nothing was delivered yet, so there is nothing to open.
  if (!writable && !existsSync(records)) return { root, records }
  // `.records` has the marker of this layout, so that no program opens it as a store of blobs.
  return { root, records: openDirectory(records, [LAYOUT], { writable }).root }
}

/** Opens a store in a directory that is already open and has `.records`: on a disk that a test simulates. */
export function maildirAt(disk: Disk, root: string, options: MaildirOptions = {}): MailStore {
  return storeOf(disk, new Root(disk, root), join(root, RECORDS), options)
}

function storeOf(disk: Disk, root: Root, records: string, options: MaildirOptions): MailStore {
  const maxOpenFiles = checkOpenFiles(options.maxOpenFiles)
  const create = checkCreation(options.create)
  const { hostname = systemHostname() } = options
  const deps = { ...diskDeps(disk, maxOpenFiles), mailboxes: new Mailboxes(disk, root, { create, hostname }) }
  return new MaildirStore(deps, filesIn(disk, root, records, maxOpenFiles), hostname)
}

class MaildirStore implements WalkableMailStore {
  readonly #deps: MaildirDeps
  readonly #records: FileStore
  readonly #blobs: MaildirBlobs
  /** Does everything that is the same for all stores of mail. */
  readonly #mail: WalkableMailStore
  readonly #hostname: string

  constructor(deps: MaildirDeps, records: FileStore, hostname: string) {
    this.#deps = deps
    this.#records = records
    this.#hostname = hostname
    this.#blobs = new MaildirBlobs(records, deps)
    this.#mail = mailStore(this.#blobs)
  }

  async save(message: IncomingMail, session: IncomingSession): Promise<MailRecord> {
    const { id, envelope, receivedAt, trace } = message
    const [first, ...others] = new Set(
      envelope.forwardPaths.flatMap(mailboxPaths).map((path) => mailboxOf(path, this.#hostname)),
    )
    if (first === undefined) throw new StorageError('unavailable', `message ${id} has no recipient`)
    const delivery = new Delivery(this.#deps, uniqueName(id, this.#hostname), [first, ...others])
    // RFC 5321 4.4: the server that makes the final delivery puts this field first.
    const returnPath = new TextEncoder().encode(`Return-Path: <${envelope.reversePath.address}>\r\n`)
    const top = new Uint8Array(returnPath.length + trace.length)
    top.set(returnPath)
    top.set(trace, returnPath.length)
    const delivered: IncomingMail = {
      id,
      envelope,
      receivedAt,
      trace: top,
      read: () => message.read(),
      facts() {
        const facts = message.facts?.()
        const { places: maildir } = delivery
        return facts instanceof Promise ? facts.then((found) => ({ ...found, maildir })) : { ...facts, maildir }
      },
    }
    try {
      return await mailStore(this.#blobs.delivering(delivery)).save(delivered, session)
    } finally {
      await delivery.abort()
    }
  }

  accepts(forwardPath: RecipientPath): Promise<boolean> {
    return this.#deps.mailboxes.accepts(mailboxOf(forwardPath, this.#hostname))
  }

  load(id: string): Promise<StoredMail> {
    return this.#mail.load(id)
  }

  list(options?: ListMailOptions): Promise<MailPage> {
    return this.#mail.list(options)
  }

  walk(options?: WalkMailOptions): AsyncIterable<WalkedMail> {
    return this.#mail.walk(options)
  }

  /** Removes the message from every mailbox. */
  delete(id: string): Promise<void> {
    return this.#mail.delete(id)
  }

  /** The message stays in its mailboxes. */
  bounce(id: string, bounce: { readonly reason: string; readonly at?: Date }): Promise<MailRecord> {
    return this.#mail.bounce(id, bounce)
  }

  expire(retention: Retention, options: ExpireOptions = {}): Promise<Expired> {
    return expireMail(this.#blobs, retention, options, () => this.#found())
  }

  async sweep(options: SweepOptions = {}): Promise<Swept> {
    const { temporary } = await this.#mail.sweep(options)
    const before = Date.now() - (options.olderThanMs ?? DAY_MS)
    let messages = 0
    for await (const { id, hasBytes } of this.#found()) {
      if (options.signal?.aborted === true) break
      if (!hasBytes && (await this.#sweepEnvelopes(id, before))) messages++
      options.looked?.()
    }
    return { messages, temporary }
  }

  /** Yields every id that has an envelope, ascending. A message that is in no mailbox counts as one without blobs. */
  async *#found(): AsyncGenerator<FoundMail> {
    let some: FoundMail[] = []
    for await (const found of foundMail(this.#records, { sizes: false })) {
      some.push(found)
      if (some.length < LOOKS_AT_ONCE) continue
      yield* await Promise.all(some.map((each) => this.#look(each)))
      some = []
    }
    yield* await Promise.all(some.map((each) => this.#look(each)))
  }

  async #look(found: FoundMail): Promise<FoundMail> {
    const size = await this.#blobs.sizeOf(found.id)
    if (size !== undefined) return { ...found, hasBytes: true, size }
    return { ...found, hasEnvelope: false, hasBounced: false }
  }

  async #sweepEnvelopes(id: string, before: number): Promise<boolean> {
    const { envelope, bounced } = keysOf(id)
    let removed = false
    for (const key of [envelope, bounced]) {
      const info = await this.#records.head(key)
      if (info === undefined || info.modifiedAt.getTime() > before) continue
      await this.#records.delete(key)
      removed = true
    }
    return removed
  }
}
