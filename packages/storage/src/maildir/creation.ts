/**
 * Decides which mailboxes mail may create. Any client may send to any address. Without a rule, one message could create
 * thousands of directories.
 *
 * The postmaster always has a mailbox (RFC 5321 4.5.1), at this host and at each domain whose directory exists. If the
 * postmaster's mailbox of this host makes the directory of its domain, it also makes a mark in it, so that `domain`
 * does not take the directory for one that the operator made.
 */
import { dirname, join } from 'node:path'
import { StorageError } from '../blob/error.ts'
import type { Directories } from '../disk/directories.ts'
import { type Disk, diskError, isGone } from '../disk/disk.ts'
import { mailboxOf } from './place.ts'

/**
 * Which mailboxes are created when mail comes for them: none, those of domains whose directory exists, or any. The
 * postmaster's mailbox is always created.
 */
export type MailboxCreation = (typeof CREATIONS)[number]

const CREATIONS = ['none', 'domain', 'any'] as const

/** The folders of a Maildir. */
export const FOLDERS = ['new', 'cur', 'tmp'] as const

const POSTMASTER = 'postmaster'
/** The mark is a hidden directory, so it is not a mailbox. */
const POSTMASTER_ONLY = '.only-postmaster'

/**
 * Returns the option if it is valid.
 * @throws RangeError
 */
export function checkCreation(create: MailboxCreation = 'none'): MailboxCreation {
  if (CREATIONS.includes(create)) return create
  throw new RangeError(`create: ${String(create)} is neither ${CREATIONS.join(' nor ')}`)
}

export class Creation {
  readonly #disk: Disk
  readonly #directories: Directories
  readonly #root: string
  readonly #create: MailboxCreation
  readonly #postmaster: string

  constructor(
    disk: Disk,
    directories: Directories,
    { root, create, hostname }: { readonly root: string; readonly create: MailboxCreation; readonly hostname: string },
  ) {
    this.#disk = disk
    this.#directories = directories
    this.#root = root
    this.#create = create
    this.#postmaster = mailboxOf({ localPart: POSTMASTER, domain: '' }, hostname)
  }

  /**
   * Returns whether the mailbox exists or may be created.
   * @throws StorageError `lost` as long as the path of the store leads elsewhere, because then no mailbox is found;
   *   `denied` if something else has its name
   */
  async accepts(mailbox: string): Promise<boolean> {
    if (this.#create === 'any' || mailbox === this.#postmaster) return true
    if (await this.#hasPlace(mailbox)) return true
    await this.#directories.check()
    return false
  }

  /**
   * Called before any directory of the mailbox is created.
   * @throws StorageError if the mailbox may not be created
   */
  async prepare(mailbox: string): Promise<void> {
    if (this.#create === 'any') return
    if (!(await this.accepts(mailbox))) {
      throw new StorageError('unavailable', `there is no mailbox ${mailbox}, and mail does not create it`)
    }
    const domain = dirname(join(this.#root, mailbox))
    if (mailbox !== this.#postmaster || (await this.#isDirectory(domain))) return
    await this.#directories.ensure(domain)
    await this.#directories.ensure(join(domain, POSTMASTER_ONLY))
  }

  async #hasPlace(mailbox: string): Promise<boolean> {
    const path = join(this.#root, mailbox)
    const domain = dirname(path)
    if (!(await this.#isDirectory(domain))) return false
    const isDirectory = await this.#isDirectory(path)
    if (mailbox.endsWith(`/${POSTMASTER}`)) return true
    if (this.#create === 'domain' && !(await this.#isDirectory(join(domain, POSTMASTER_ONLY)))) return true
    if (!isDirectory) return false
    for (const folder of FOLDERS) if (await this.#isDirectory(join(path, folder))) return true
    return false
  }

  async #isDirectory(path: string): Promise<boolean> {
    try {
      if ((await this.#disk.lstat(path)).isDirectory()) return true
    } catch (error) {
      if (isGone(error)) return false
      throw diskError(error, `can't look at ${path}`)
    }
    // Rejects a symbolic link, which would lead out of the store.
    throw new StorageError('denied', `${path} is not a directory`)
  }
}
