/**
 * Opening a directory as a store, at once and loudly: a server must not find out with its first message that it can
 * keep none. What is tried is what a commit does: make a file, sync it, give it a second name.
 *
 * Who only looks makes and changes nothing, so a backup on a read-only disk can be looked into.
 */
import * as nodeFs from 'node:fs'
import { randomBytes } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import { StorageError } from '../blob/error.ts'
import { diskError, systemCode } from './disk.ts'
import { checkMarker, type Layout, syncDirectory, type Wanted, writeMarker } from './marker.ts'

export interface OpenOptions {
  /** Default true: the directory is made where it is missing, marked, and tried out. False only looks. */
  readonly writable?: boolean
}

/** A directory that was opened. */
export interface Opened {
  /** Its real path. Temporary files belong into `.tmp` in it. */
  readonly root: string
  readonly layout: Layout
}

/**
 * Opens a directory as a store of one of these layouts; one that has none yet becomes the first.
 *
 * @throws StorageError `other-layout` where it holds another layout, which nothing is done to; another code where it
 * can't be used
 */
export function openDirectory(directory: string, layouts: Wanted, { writable = true }: OpenOptions = {}): Opened {
  const path = resolve(directory)
  try {
    if (writable) makeDirectory(path)
    const root = nodeFs.realpathSync(path)
    if (!nodeFs.statSync(root).isDirectory()) throw new StorageError('unavailable', `${path} is not a directory`)
    const marked = checkMarker(root, layouts)
    if (writable) prepare(root, marked === undefined ? layouts[0] : undefined)
    return { root, layout: marked ?? layouts[0] }
  } catch (error) {
    throw explained(error, writable ? `can't keep mail in ${path}` : `can't read mail in ${path}`)
  }
}

/** Makes sure that mail can be kept here, and marks the directory where it is not. */
function prepare(root: string, unmarked: Layout | undefined): void {
  const temporary = join(root, '.tmp')
  try {
    makeDirectory(temporary)
    if (!nodeFs.lstatSync(temporary).isDirectory()) throw new StorageError('denied', `${temporary} is a symbolic link`)
    tryOut(temporary)
    if (unmarked !== undefined) writeMarker(root, temporary, unmarked)
  } catch (error) {
    // A full disk is a state and not a mistake: mail can still be read and deleted, and what comes is put off. But packs are
    // found again only where the marker tells of them.
    if (diskError(error, '').code !== 'no-space' || unmarked?.name === 'packed') throw error
  }
}

/**
 * Makes a directory and those above it, where they are missing, each a durable name in the one above (see
 * directories.ts). Not `mkdir`'s own `recursive`: below /proc, where a directory is there and takes no names, Node
 * never comes back from it.
 */
function makeDirectory(path: string): void {
  if (nodeFs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return
  const above = dirname(path)
  if (above !== path) makeDirectory(above)
  try {
    nodeFs.mkdirSync(path, { mode: 0o700 })
    if (!hasMode(nodeFs.statSync(path), 0o700)) {
      nodeFs.rmdirSync(path)
      throw harshUmask(path)
    }
  } catch (error) {
    // Another process may have been quicker.
    if (systemCode(error) !== 'EEXIST' || !nodeFs.statSync(path).isDirectory()) throw error
  }
  syncDirectory(above)
}

/** Not asked of `process.umask`, for which Deno wants a permission of its own. */
function hasMode({ mode }: nodeFs.Stats, needed: number): boolean {
  return (mode & needed) === needed
}

/** What would be kept could not be read again. */
function harshUmask(path: string): StorageError {
  return new StorageError('denied', `can't make ${path}: the umask takes permissions from the owner; set it to 077`)
}

function tryOut(temporary: string): void {
  const first = join(temporary, `try-${process.pid}-${randomBytes(8).toString('hex')}`)
  const second = `${first}-2`
  try {
    const file = nodeFs.openSync(first, 'wx', 0o600)
    try {
      if (!hasMode(nodeFs.fstatSync(file), 0o600)) throw harshUmask(first)
      nodeFs.writeSync(file, 'x')
      nodeFs.fsyncSync(file)
    } finally {
      nodeFs.closeSync(file)
    }
    nodeFs.linkSync(first, second)
  } finally {
    nodeFs.rmSync(first, { force: true })
    nodeFs.rmSync(second, { force: true })
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such directory',
  EEXIST: 'it, or a part of its path, is not a directory',
  ENOTDIR: 'it, or a part of its path, is not a directory',
  EACCES: 'no permission to do so',
  EPERM: 'no permission to do so',
  EROFS: 'its file system is read-only',
}

function explained(error: unknown, what: string): StorageError {
  if (error instanceof StorageError) return error
  const code = diskError(error, '').code
  const system = systemCode(error) ?? ''
  const isLink = error instanceof Error && 'syscall' in error && error.syscall === 'link'
  // EPERM, ENOTSUP, ENOSYS, …: they differ from one file system to the next.
  const reason =
    isLink && system !== 'EACCES' ? 'its file system has no hard links' : (REASONS[system] ?? String(error))
  return new StorageError(code === 'exists' || code === 'not-found' ? 'unavailable' : code, `${what}: ${reason}`, {
    cause: error,
  })
}
