/**
 * Opening a directory as a store, at once and loudly: a server must not find out with its first message that it can
 * keep none. What is tried is what a commit does: make a file, sync it, give it a second name.
 */
import * as nodeFs from 'node:fs'
import { randomBytes } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import { StorageError } from '../error.ts'
import { diskError, systemCode } from './disk.ts'

/**
 * Makes the directory where it is missing, and tries it out. Answers its real path.
 *
 * @throws StorageError
 */
export function openDirectory(directory: string): string {
  const path = resolve(directory)
  try {
    makeDirectory(path)
    const root = nodeFs.realpathSync(path)
    try {
      tryOut(join(root, '.tmp'))
    } catch (error) {
      // A full disk is a state and not a mistake: mail can still be read and deleted, and what comes is put off.
      if (diskError(error, '').code !== 'no-space') throw error
    }
    return root
  } catch (error) {
    throw explained(error, path)
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
  } catch (error) {
    // Another process may have been quicker.
    if (systemCode(error) !== 'EEXIST' || !nodeFs.statSync(path).isDirectory()) throw error
  }
  const file = nodeFs.openSync(above, nodeFs.constants.O_RDONLY)
  try {
    nodeFs.fsyncSync(file)
  } finally {
    nodeFs.closeSync(file)
  }
}

function tryOut(temporary: string): void {
  makeDirectory(temporary)
  if (!nodeFs.lstatSync(temporary).isDirectory()) throw new StorageError('denied', `${temporary} is a symbolic link`)
  const first = join(temporary, `try-${process.pid}-${randomBytes(8).toString('hex')}`)
  const second = `${first}-2`
  try {
    const file = nodeFs.openSync(first, 'wx', 0o600)
    try {
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
  EEXIST: 'it, or a part of its path, is not a directory',
  ENOTDIR: 'it, or a part of its path, is not a directory',
  EACCES: 'no permission to write there',
  EPERM: 'no permission to write there',
  EROFS: 'its file system is read-only',
}

function explained(error: unknown, path: string): StorageError {
  if (error instanceof StorageError) return error
  const code = diskError(error, '').code
  const system = systemCode(error) ?? ''
  const isLink = error instanceof Error && 'syscall' in error && error.syscall === 'link'
  // EPERM, ENOTSUP, ENOSYS, …: they differ from one file system to the next.
  const reason =
    isLink && system !== 'EACCES' ? 'its file system has no hard links' : (REASONS[system] ?? String(error))
  return new StorageError(
    code === 'exists' || code === 'not-found' ? 'unavailable' : code,
    `can't keep mail in ${path}: ${reason}`,
    { cause: error },
  )
}
