/**
 * Mail in Maildirs, one for each recipient, as Dovecot, mutt and notmuch read them.
 *
 *     example.com/ann/new/1763703727.01KASJ3V5QCYF6Y3W9T2Z8N4RB.mx1,S=4711,W=4800        a message, the same file for each recipient
 *     example.com/ann/cur/1763703727.01KASJ3V5QCYF6Y3W9T2Z8N4RB.mx1,S=4711,W=4800:2,S    the same, once a reader saw it
 *     .records/2026/11/21/0542/01KASJ3V5QCYF6Y3W9T2Z8N4RB.json                               its envelope
 *
 * The bytes are synced in `tmp`, then the envelope is, then the message appears in every mailbox, and when that is durable, `save` is
 * done. So whatever is in a mailbox has an envelope, and whatever was promised is in the mailboxes. An envelope without a message is
 * nobody's: it was not delivered, or a reader has removed it from all its mailboxes. A sweep removes those that are old.
 *
 * place.ts says which mailbox an address has, creation.ts which of them mail may make. All mailboxes have one owner, who also runs the
 * reader: 0600 and 0700.
 */
import { existsSync } from 'node:fs'
import { hostname as systemHostname } from 'node:os'
import { join } from 'node:path'
import type { BlobStore } from '../blob/contract.ts'
import { StorageError } from '../blob/error.ts'
import { type FoundMail, foundMail } from '../mail/found.ts'
import { checkOpenFiles, diskDeps } from '../disk/deps.ts'
import { type Disk, nodeDisk, readingDisk } from '../disk/disk.ts'
import { filesIn } from '../fs/index.ts'
import type { Layout } from '../disk/marker.ts'
import { openDirectory } from '../disk/opening.ts'
import { Root, type RootWatch } from '../disk/root.ts'
import type { IncomingMail, IncomingSession, RecipientPath } from '../mail/incoming.ts'
import { keysOf } from '../mail/layout.ts'
import type { ListMailOptions, MailPage, MailStore, StoredMail } from '../mail/contract.ts'
import type { MailRecord } from '../mail/record.ts'
import { mailStore } from '../mail/mail-store.ts'
import { type Expired, type ExpireOptions, expireMail, type Retention } from '../mail/retention.ts'
import { DAY_MS, type SweepOptions, type Swept } from '../mail/sweep.ts'
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
   * Which mailboxes are made when mail comes for them. `none`: none, so who has none is refused. `domain`: those of domains whose
   * directory is there. `any`: all, so that whoever sends mail makes directories. The postmaster's is made in any case. Default `none`.
   */
  readonly create?: MailboxCreation
  /**
   * This host: a part of every file's name, and the domain of a recipient that has none, which is `postmaster`. Default: the
   * system's name for it.
   */
  readonly hostname?: string
  /** Messages over 64 KiB that are written at one time, and as many that are read; more wait. Default 1,024. */
  readonly maxOpenFiles?: number
  /**
   * Default true. False only looks into a directory that is there: nothing is made, tried out or changed, and writing is
   * `denied`.
   */
  readonly writable?: boolean
}

const LAYOUT: Layout = { name: 'maildir', version: 1 }
/** Hidden, so that it is no domain. */
const RECORDS = '.records'
const LOOKS_AT_ONCE = 16

/**
 * Mail in the Maildirs `<directory>/<domain>/<local part>`. All of it has to be one file system.
 *
 * @throws StorageError at once when the directory can't be used: its message says why. `other-layout` when it holds mail
 * in another layout; nothing is done to it then.
 * @throws RangeError when an option is out of its range
 */
export function maildir(directory: string, options: MaildirOptions = {}): MailStore {
  return maildirOn(nodeDisk, directory, options)
}

/** The same on a disk that a test watches, or breaks. */
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
  // Nothing was delivered here yet, and there is nothing to be seen.
  if (!writable && !existsSync(records)) return { root, records }
  // Marked as a part of this layout: a store of blobs it is not.
  return { root, records: openDirectory(records, [LAYOUT], { writable }).root }
}

/** The same in a directory that was opened already, `.records` in it: of a disk that a test simulates. */
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

class MaildirStore implements MailStore {
  readonly #deps: MaildirDeps
  readonly #records: BlobStore
  readonly #blobs: MaildirBlobs
  /** All but what is particular to Maildirs. */
  readonly #mail: MailStore
  readonly #hostname: string

  constructor(deps: MaildirDeps, records: BlobStore, hostname: string) {
    this.#deps = deps
    this.#records = records
    this.#hostname = hostname
    this.#blobs = new MaildirBlobs(records, deps)
    this.#mail = mailStore(this.#blobs)
  }

  async save(message: IncomingMail, session: IncomingSession): Promise<MailRecord> {
    const { id, envelope, receivedAt, trace } = message
    const [first, ...others] = new Set(envelope.forwardPaths.map((path) => mailboxOf(path, this.#hostname)))
    if (first === undefined) throw new StorageError('unavailable', `message ${id} is to nobody`)
    const delivery = new Delivery(this.#deps, uniqueName(id, this.#hostname), [first, ...others])
    // RFC 5321 4.4: who makes the final delivery puts it first.
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

  /** Removes it from every mailbox. */
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
    }
    return { messages, temporary }
  }

  /** Every id that has an envelope, ascending. Of what is in no mailbox there is nothing. */
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
