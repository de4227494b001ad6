/**
 * Delivers one message into its mailboxes: it writes and syncs a file in the `tmp` of the first, then links it into the
 * `new` of each.
 *
 * It delivers to all of them or, as far as possible, to none. If one link fails or cannot be synced, it removes the
 * links that it made. If a reader has moved a link to `cur` meanwhile, it stays there, because somebody may have read
 * it. The client is told to send again.
 */
import { constants } from 'node:fs'
import { dirname } from 'node:path'
import type { BlobWriter } from '../blob/contract.ts'
import { StorageError } from '../blob/error.ts'
import type { DiskDeps } from '../disk/deps.ts'
import { diskError, isGone } from '../disk/disk.ts'
import { Slots } from '../disk/slots.ts'
import { TemporaryDirectory } from '../disk/temporary-directory.ts'
import { TemporaryFile } from '../disk/temporary-file.ts'
import type { MaildirPlaces } from '../record/record.ts'
import { LineFeeds, withCrlf } from './line-ends.ts'
import type { Mailboxes } from './mailboxes.ts'
import { fileName } from './file-name.ts'

/** What all deliveries and readers of one store share. */
export interface MaildirDeps extends DiskDeps {
  readonly mailboxes: Mailboxes
}

export class Delivery implements BlobWriter {
  readonly #deps: MaildirDeps
  readonly #unique: string
  readonly #to: readonly string[]
  readonly #temporary: TemporaryDirectory
  #file: TemporaryFile
  /**
   * The first file of a message that was begun with LF and cannot be stored that way. It holds the slot of a large file
   * for both files.
   */
  #begun: TemporaryFile | undefined
  /** Undefined if the bytes are stored unchanged. */
  #lineFeeds: LineFeeds | undefined = new LineFeeds()
  #received = 0
  /** The path of the bytes, after they were synced. */
  #path: string | undefined
  /** The running work; never rejects. `abort` waits for it, so that no file is closed while it is written. */
  #pending: Promise<unknown> = Promise.resolve()

  /** @param to At least one mailbox, each once. */
  constructor(deps: MaildirDeps, unique: string, to: readonly [string, ...string[]]) {
    this.#deps = deps
    this.#unique = unique
    this.#to = to
    this.#temporary = new TemporaryDirectory(deps.disk, deps.mailboxes.path(to[0], 'tmp'), {
      stem: unique,
      makeDirectory: () => deps.mailboxes.ensureAgain(to[0]),
    })
    this.#file = new TemporaryFile(deps, this.#temporary, unique)
  }

  /** The places of the message. Read after all its bytes were written. */
  get places(): MaildirPlaces {
    const hasLineFeeds = this.#lineFeeds !== undefined
    // With BDAT, a message may end in a single CR.
    const size = this.#file.size + (this.#lineFeeds?.held ?? 0)
    return {
      file: fileName(this.#unique, size, hasLineFeeds ? this.#received : undefined),
      mailboxes: this.#to,
      lineEnding: hasLineFeeds ? 'LF' : 'CRLF',
    }
  }

  write(bytes: Uint8Array): void | Promise<void> {
    const written = this.#write(bytes)
    if (written !== undefined) return this.#follow(written)
  }

  /** Syncs the bytes, if every mailbox exists or may be created. Readers do not see them yet. */
  commit(): Promise<void> {
    return this.#follow(this.#finish())
  }

  /** Drops everything that is not delivered. */
  async abort(): Promise<void> {
    await this.#pending
    await Promise.all([this.#file.drop(), this.#begun?.drop()])
  }

  /**
   * Links the message into all its mailboxes, durably.
   * @throws StorageError if it is in no mailbox
   */
  async deliver(): Promise<void> {
    const { mailboxes } = this.#deps
    const links: string[] = []
    try {
      await this.#each(async (mailbox) => links.push(await this.#link(mailbox)))
      const synced = this.#each((mailbox) => mailboxes.directories.sync(mailboxes.path(mailbox, 'new')))
      await Promise.all([synced, this.abort()])
    } catch (error) {
      await Promise.all(links.map((link) => this.#takeBack(link)))
      throw unavailable(error, `can't deliver ${this.#unique}`)
    }
  }

  /** Removes a link durably, as far as possible, because its envelope is removed next. */
  async #takeBack(link: string): Promise<void> {
    const { disk, mailboxes } = this.#deps
    await disk.unlink(link).catch(() => undefined)
    await mailboxes.directories.flush(dirname(link)).catch(() => undefined)
  }

  #write(bytes: Uint8Array): void | Promise<void> {
    this.#received += bytes.length
    const stored = this.#lineFeeds === undefined ? bytes : this.#lineFeeds.convert(bytes)
    return stored === undefined ? this.#writeAsItCame(bytes) : this.#file.write(stored)
  }

  /** Begins another file with the bytes unchanged, and copies the earlier bytes into it. */
  async #writeAsItCame(bytes: Uint8Array): Promise<void> {
    const { disk, reading } = this.#deps
    const begun = this.#file
    const path = await begun.finish()
    // Takes no second slot. Otherwise deliveries that hold one slot and wait for another could block one another.
    const shared = begun.holdsSlot ? { ...this.#deps, large: new Slots(1) } : this.#deps
    this.#begun = begun
    this.#file = new TemporaryFile(shared, this.#temporary, this.#unique)
    const { body } = await reading.read(this.#unique, () => disk.open(path, constants.O_RDONLY))
    for await (const chunk of withCrlf(body)) await this.#file.write(chunk)
    await this.#file.write(this.#lineFeeds?.end() ?? new Uint8Array(0))
    this.#lineFeeds = undefined
    await this.#file.write(bytes)
  }

  async #finish(): Promise<void> {
    // Checks all mailboxes before it makes a link, so that nobody gets the message if one mailbox is gone.
    await this.#each((mailbox) => this.#deps.mailboxes.ensure(mailbox))
    if (this.#lineFeeds !== undefined) await this.#file.write(this.#lineFeeds.end())
    this.#path = await this.#file.finish()
  }

  async #link(mailbox: string): Promise<string> {
    const { brief, disk, mailboxes } = this.#deps
    const path = mailboxes.path(mailbox, 'new', this.places.file)
    const link = (): Promise<void> => brief.run(() => disk.link(this.#path as string, path))
    try {
      await link()
    } catch (error) {
      if (!isGone(error)) throw error
      // The mailbox was removed since its last use.
      await mailboxes.ensureAgain(mailbox)
      await link()
    }
    return path
  }

  /** Does work for every mailbox, and waits for all, even if one fails. */
  async #each(work: (mailbox: string) => Promise<unknown>): Promise<void> {
    const results = await Promise.allSettled(this.#to.map(work))
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  async #follow(work: Promise<void>): Promise<void> {
    this.#pending = work.catch(() => undefined)
    try {
      await work
    } catch (error) {
      throw unavailable(error, `can't write ${this.#unique}`)
    }
  }
}

/**
 * Turns `not-found` and `exists` into `unavailable`, because the server is responsible for a missing directory or a
 * taken name, and not the caller.
 */
function unavailable(error: unknown, what: string): StorageError {
  const failure = diskError(error, what)
  if (failure.code !== 'not-found' && failure.code !== 'exists') return failure
  return new StorageError('unavailable', failure.message, { cause: error })
}
