/**
 * One message on its way into its mailboxes: a file in the `tmp` of the first, synced, then a link to it in the `new` of each.
 *
 * All of them, or none as far as that can be: where one link fails, or can't be made safe, those that were made are removed. One
 * that a reader has moved to `cur` by then stays there, as somebody may have read it; the client is told to send again.
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
import type { MaildirPlaces } from '../mail/record.ts'
import { LineFeeds, withCrlf } from './line-ends.ts'
import type { Mailboxes } from './mailboxes.ts'
import { fileName } from './file-name.ts'

/** What the deliveries of one store share, and its readers. */
export interface MaildirDeps extends DiskDeps {
  readonly mailboxes: Mailboxes
}

export class Delivery implements BlobWriter {
  readonly #deps: MaildirDeps
  readonly #unique: string
  readonly #to: readonly string[]
  readonly #temporary: TemporaryDirectory
  #file: TemporaryFile
  /** What was begun with LF, and turned out to be a message that can't be. It holds the slot of a large file for both. */
  #begun: TemporaryFile | undefined
  /** Undefined: the bytes are stored as they come. */
  #lineFeeds: LineFeeds | undefined = new LineFeeds()
  #received = 0
  /** Where the bytes are, once they are safe. */
  #path: string | undefined
  /** What is under way; never rejects. A file must not be closed that is being written to. */
  #pending: Promise<unknown> = Promise.resolve()

  /** @param to Mailboxes, each once, at least one. */
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

  /** Where the message is going to be. To be asked once all its bytes are there. */
  get places(): MaildirPlaces {
    const hasLineFeeds = this.#lineFeeds !== undefined
    // By BDAT, a message may end in a CR that stands alone.
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

  /** Makes the bytes safe, where every mailbox is there or may be made; nobody sees them yet. */
  commit(): Promise<void> {
    return this.#follow(this.#finish())
  }

  /** Lets go of what is not delivered. */
  async abort(): Promise<void> {
    await this.#pending
    await Promise.all([this.#file.drop(), this.#begun?.drop()])
  }

  /** Makes the message appear in all its mailboxes, durably. @throws StorageError when it is in none */
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

  /** As far as can be. Its envelope is removed for good next, so the link has to be too. */
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

  /** Turns what is stored so far back into what came, and goes on with that. */
  async #writeAsItCame(bytes: Uint8Array): Promise<void> {
    const { disk, reading } = this.#deps
    const begun = this.#file
    const path = await begun.finish()
    // Who waited for a second slot while holding one could wait for itself.
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
    // Before any recipient sees the message: if one has no mailbox any more, it is for none.
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
      // Somebody removed the mailbox since it was last used.
      await mailboxes.ensureAgain(mailbox)
      await link()
    }
    return path
  }

  /** Does something for every mailbox, and waits for all of them also when one fails. */
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

/** What is missing or taken is a directory or a name of ours: for who saves a message, that is no `not-found`, and no `exists`. */
function unavailable(error: unknown, what: string): StorageError {
  const failure = diskError(error, what)
  if (failure.code !== 'not-found' && failure.code !== 'exists') return failure
  return new StorageError('unavailable', failure.message, { cause: error })
}
