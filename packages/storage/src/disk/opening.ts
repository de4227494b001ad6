/**
 * Opens a directory as a store. It fails at once if the directory cannot be used; otherwise a server would notice that
 * with its first message. It tries what a commit does: it makes a file, syncs it, and gives it a second name.
 *
 * Opening for reading makes and changes nothing, so it works for a backup on a read-only disk.
 */
import * as nodeFs from 'node:fs'
import { randomBytes } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import { StorageError } from '../blob/error.ts'
import { diskError, systemCode } from './disk.ts'
import { checkMarker, type Layout, syncDirectory, type Wanted, writeMarker } from './marker.ts'

export interface OpenOptions {
  /** Default true: makes the directory if it is missing, writes its marker, and tests it. False only reads. */
  readonly writable?: boolean
}

/** An open directory. */
export interface Opened {
  /** Its real path. Temporary files go into `.tmp` in it. */
  readonly root: string
  readonly layout: Layout
}

/**
 * Opens a directory as a store of one of these layouts. A directory that has none yet gets the first.
 *
 * @throws StorageError `other-layout` if it holds another layout, and then nothing is changed; another code if it can't be used
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

/** Checks that mail can be kept here, and marks the directory if it has no marker. */
function prepare(root: string, unmarked: Layout | undefined): void {
  const temporary = join(root, '.tmp')
  try {
    makeDirectory(temporary)
    if (!nodeFs.lstatSync(temporary).isDirectory()) throw new StorageError('denied', `${temporary} is a symbolic link`)
    tryOut(temporary)
    if (unmarked !== undefined) writeMarker(root, temporary, unmarked)
  } catch (error) {
    // A full disk does not stop the store from opening: mail can be read and deleted, and clients are told to try
    // later. But a store of packs needs its marker, because nothing else shows that there are packs.
    if (diskError(error, '').code !== 'no-space' || unmarked?.name === 'packed') throw error
  }
}

/**
 * Makes a directory and its missing parents. Each is a durable name in its parent (see directories.ts).
 * It does not use `mkdir` with `recursive`. Below /proc a directory may exist that takes no names, and there Node never
 * returns from that call.
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
    // Another process may have made it meanwhile.
    if (systemCode(error) !== 'EEXIST' || !nodeFs.statSync(path).isDirectory()) throw error
  }
  syncDirectory(above)
}

/** Reads the mode and not `process.umask`, for which Deno wants another permission. */
function hasMode({ mode }: nodeFs.Stats, needed: number): boolean {
  return (mode & needed) === needed
}

/** With such a umask, the owner could not read the stored mail. */
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
  // A file system without links gives EPERM, ENOTSUP, ENOSYS and others.
  const reason =
    isLink && system !== 'EACCES' ? 'its file system has no hard links' : (REASONS[system] ?? String(error))
  return new StorageError(code === 'exists' || code === 'not-found' ? 'unavailable' : code, `${what}: ${reason}`, {
    cause: error,
  })
}
