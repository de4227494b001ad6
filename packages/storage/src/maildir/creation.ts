/**
 * Which mailboxes mail may make. Who sends to an address is a stranger, and so is who chose it: without a rule, one message makes some
 * thousands of directories.
 *
 * The postmaster always has a mailbox (RFC 5321 4.5.1): that of this host, and that of each domain whose directory is there. When the
 * first of them makes the directory of a domain, it leaves a mark in it, so that `domain` does not take it for one of the operator's.
 */
import { dirname, join } from 'node:path'
import { StorageError } from '../blob/error.ts'
import type { Directories } from '../disk/directories.ts'
import { type Disk, diskError, isGone } from '../disk/disk.ts'
import { mailboxOf } from './place.ts'

/**
 * Which mailboxes are made when mail comes for them: none, those of domains whose directory is there, or any. The postmaster's always
 * is.
 */
export type MailboxCreation = (typeof CREATIONS)[number]

const CREATIONS = ['none', 'domain', 'any'] as const

/** What a Maildir consists of. */
export const FOLDERS = ['new', 'cur', 'tmp'] as const

const POSTMASTER = 'postmaster'
/** A directory; hidden, so that it is no mailbox. */
const POSTMASTER_ONLY = '.only-postmaster'

/** Lets through what can be the option. @throws RangeError */
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
   * Whether the mailbox is there, or may be made.
   *
   * @throws StorageError `lost` while the path of the store leads elsewhere: then nobody's mailbox is there. `denied` where something
   * else has its name
   */
  async accepts(mailbox: string): Promise<boolean> {
    if (this.#create === 'any' || mailbox === this.#postmaster) return true
    if (await this.#hasPlace(mailbox)) return true
    await this.#directories.check()
    return false
  }

  /** Called before anything of the mailbox is made. @throws StorageError where that may not be */
  async prepare(mailbox: string): Promise<void> {
    if (this.#create === 'any') return
    if (!(await this.accepts(mailbox))) {
      throw new StorageError('unavailable', `there is no mailbox ${mailbox}, and mail does not make it`)
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
    // A symbolic link would lead out of the store.
    throw new StorageError('denied', `${path} is not a directory`)
  }
}
