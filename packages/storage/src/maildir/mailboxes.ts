/**
 * The Maildirs below one directory, each with `tmp`, `new` and `cur`.
 *
 * Other programs use them at the same time. A reader moves a file from `new` to `cur`, and renames it when a flag
 * changes. A listing that is made meanwhile may have neither name. So if a file was not found, the store looks for it
 * again.
 */
import { join } from 'node:path'
import { StorageError } from '../blob/error.ts'
import { Directories } from '../disk/directories.ts'
import { type Disk, entriesIn, isGone, systemCode } from '../disk/disk.ts'
import type { Root } from '../disk/root.ts'
import { Slots } from '../disk/slots.ts'
import type { MaildirPlaces } from '../record/record.ts'
import { Creation, FOLDERS, type MailboxCreation } from './creation.ts'
import { DirectoryCache } from './directory-cache.ts'
import { isTemporaryOfOurs } from './file-name.ts'

/** The greatest number of directories that are remembered as existing, three for each mailbox. They need a few MB. */
const MAX_KNOWN = 16 * 1024
/** The flags of most messages in `cur`. Other messages are found by reading the directory. */
const USUAL_FLAGS = ['', 'S', 'RS', 'FS', 'FRS', 'ST']
const LOOKS = 2
const SYNCS_AT_ONCE = 32
/** If a file was moved after it was found, the store looks for it again this often. */
const CHASES = 10

export class Mailboxes {
  readonly root: string
  readonly directories: Directories
  readonly #disk: Disk
  readonly #cache: DirectoryCache
  readonly #creation: Creation

  /** @param options Which mailboxes mail creates, and the host whose postmaster always has one */
  constructor(disk: Disk, root: Root, options: { readonly create: MailboxCreation; readonly hostname: string }) {
    this.root = root.path
    this.#disk = disk
    this.#cache = new DirectoryCache(disk)
    // Has its own slots: a delivery that holds a slot of the store may have to make a directory.
    this.directories = new Directories(disk, new Slots(SYNCS_AT_ONCE), root, root.path, MAX_KNOWN)
    this.#creation = new Creation(disk, this.directories, { ...options, root: root.path })
  }

  path(mailbox: string, ...names: string[]): string {
    return join(this.root, mailbox, ...names)
  }

  /**
   * Returns whether the mailbox exists or may be created.
   * @throws StorageError
   */
  accepts(mailbox: string): Promise<boolean> {
    return this.#creation.accepts(mailbox)
  }

  /**
   * Creates the missing directories of a mailbox. Resolves when all are durable.
   * @throws StorageError `unavailable` if the mailbox does not exist and may not be created
   */
  async ensure(mailbox: string): Promise<void> {
    if (!this.directories.isKnown(this.path(mailbox, 'new'))) await this.#creation.prepare(mailbox)
    await Promise.all(FOLDERS.map((folder) => this.directories.ensure(this.path(mailbox, folder))))
  }

  /** Creates the directories of a removed mailbox again. */
  async ensureAgain(mailbox: string): Promise<void> {
    for (const folder of FOLDERS) this.directories.forget(this.path(mailbox, folder))
    await this.ensure(mailbox)
  }

  /** Returns whether any of the mailboxes has the message. */
  async has(places: MaildirPlaces): Promise<boolean> {
    return (await this.#findAny(places)) !== undefined
  }

  /** Opens the message in the mailbox where it is now. @throws StorageError `not-found` */
  async open(places: MaildirPlaces, flags: number): Promise<number> {
    for (let chase = 0; chase < CHASES; chase++) {
      const path = await this.#findAny(places)
      if (path === undefined) break
      try {
        return await this.#disk.open(path, flags)
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw error
      }
    }
    throw new StorageError('not-found', `${places.file} is in no mailbox`)
  }

  /** Removes the message from all its mailboxes, durably. @throws StorageError `unavailable` if it is moved each time */
  async remove({ file, mailboxes }: MaildirPlaces): Promise<void> {
    for (const mailbox of mailboxes) await this.#removeFrom(mailbox, file)
    // Syncs both folders, even if the file was gone, because the program that removed or moved it may have died before
    // the sync.
    const folders = mailboxes.flatMap((mailbox) => [this.path(mailbox, 'new'), this.path(mailbox, 'cur')])
    await Promise.all(folders.map((folder) => this.#flush(folder)))
  }

  /** Removes files of our deliveries in `tmp` that have not changed since `before` (milliseconds since 1970). */
  async sweep(before: number): Promise<number> {
    let removed = 0
    for (const domain of await this.#directoriesIn(this.root)) {
      for (const mailbox of await this.#directoriesIn(join(this.root, domain))) {
        removed += await this.#sweepTemporary(join(this.root, domain, mailbox, 'tmp'), before)
      }
    }
    return removed
  }

  async #findAny(places: MaildirPlaces): Promise<string | undefined> {
    for (const mailbox of places.mailboxes) {
      const path = await this.#find(mailbox, places.file)
      if (path !== undefined) return path
    }
    return undefined
  }

  async #find(mailbox: string, file: string): Promise<string | undefined> {
    const guesses = [['new', file], ...USUAL_FLAGS.map((flags) => ['cur', `${file}:2,${flags}`])]
    for (const names of guesses) {
      const path = this.path(mailbox, ...names)
      if (await this.#isFile(path)) return path
    }
    const unique = file.slice(0, file.indexOf(','))
    for (let look = 0; look < LOOKS; look++) {
      for (const folder of ['new', 'cur']) {
        const name = await this.#cache.find(this.path(mailbox, folder), unique)
        if (name !== undefined) return this.path(mailbox, folder, name)
      }
    }
    return undefined
  }

  async #removeFrom(mailbox: string, file: string): Promise<void> {
    for (let chase = 0; chase < CHASES; chase++) {
      const path = await this.#find(mailbox, file)
      // If the file is gone when it is removed, a reader has probably moved it.
      if (path === undefined || (await this.#unlink(path))) return
    }
    throw new StorageError('unavailable', `${file} is moved again and again in ${mailbox}`)
  }

  async #flush(folder: string): Promise<void> {
    try {
      await this.directories.flush(folder)
    } catch (error) {
      nothing(error, undefined)
    }
  }

  async #sweepTemporary(directory: string, before: number): Promise<number> {
    let removed = 0
    for (const entry of await entriesIn(this.#disk, directory)) {
      const path = join(directory, entry.name)
      if (!entry.isFile() || !isTemporaryOfOurs(entry.name)) continue
      try {
        if ((await this.#disk.lstat(path)).mtimeMs > before) continue
      } catch (error) {
        if (systemCode(error) === 'ENOENT') continue
        throw error
      }
      if (await this.#unlink(path)) removed++
    }
    return removed
  }

  async #isFile(path: string): Promise<boolean> {
    try {
      return (await this.#disk.lstat(path)).isFile()
    } catch (error) {
      return nothing(error, false)
    }
  }

  /** Removes a file. Returns whether there was one. */
  async #unlink(path: string): Promise<boolean> {
    try {
      await this.#disk.unlink(path)
      return true
    } catch (error) {
      return nothing(error, false)
    }
  }

  async #directoriesIn(directory: string): Promise<string[]> {
    const entries = await entriesIn(this.#disk, directory)
    return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map((entry) => entry.name)
  }
}

/** Returns `answer` if the error says that there is no such file. @throws every other error */
function nothing<T>(error: unknown, answer: T): T {
  if (isGone(error)) return answer
  throw error
}
