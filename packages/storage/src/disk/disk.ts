/**
 * All calls to the operating system. A test can count them here, and their errors become `StorageError` in one way. It
 * uses only `node:fs`, which Node, Deno and Bun all have.
 */
import * as nodeFs from 'node:fs'
import { promisify } from 'node:util'
import { StorageError, type StorageErrorCode } from '../blob/error.ts'

/** A file of at most this many bytes is written and read in one call. A larger file is buffered in pieces of this size. */
export const HOLD_BYTES: number = 64 * 1024

/** The calls of an open store. Paths are absolute. */
export interface Disk {
  open(path: string, flags: number, mode?: number): Promise<number>
  /** Writes at the file's position. It may write fewer bytes than given. */
  write(file: number, bytes: Uint8Array, offset: number, length: number): Promise<number>
  /** Reads at `position`, or at the file's own position. */
  read(file: number, bytes: Uint8Array, offset: number, length: number, position?: number): Promise<number>
  truncate(file: number, length: number): Promise<void>
  /** Waits until the file, or the directory, is on the disk itself. */
  fsync(file: number): Promise<void>
  close(file: number): Promise<void>
  fstat(file: number): Promise<nodeFs.Stats>
  lstat(path: string): Promise<nodeFs.Stats>
  realpath(path: string): Promise<string>
  mkdir(path: string, mode: number): Promise<void>
  rmdir(path: string): Promise<void>
  /** Gives a file a second name. Fails with EEXIST if the name exists. `rename` would replace the other file. */
  link(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  readdir(path: string): Promise<nodeFs.Dirent[]>
  /** Reads a directory in pieces. Missing: only `readdir` is there. */
  entries?(path: string): Promise<AsyncIterable<nodeFs.Dirent>>
}

/** Entries of a directory that are read with one call. */
const PIECE_ENTRIES = 256

const write = promisify(nodeFs.write)
const read = promisify(nodeFs.read)
const readdir = promisify(nodeFs.readdir)
const opendir = promisify<string, nodeFs.OpenDirOptions, nodeFs.Dir>(nodeFs.opendir)

/** The real disk. Promisified callbacks cost half as much as `node:fs/promises` with its file handles. */
export const nodeDisk: Disk = {
  open: promisify(nodeFs.open),
  write: async (file, bytes, offset, length) => (await write(file, bytes, offset, length, null)).bytesWritten,
  read: async (file, bytes, offset, length, position) =>
    (await read(file, bytes, offset, length, position ?? null)).bytesRead,
  truncate: promisify<number, number>(nodeFs.ftruncate),
  fsync: promisify(nodeFs.fsync),
  close: promisify(nodeFs.close),
  fstat: promisify<number, nodeFs.Stats>(nodeFs.fstat),
  lstat: promisify<string, nodeFs.Stats>(nodeFs.lstat),
  realpath: promisify<string, string>(nodeFs.realpath.native),
  mkdir: promisify<string, number>(nodeFs.mkdir),
  rmdir: promisify<string>(nodeFs.rmdir),
  link: promisify(nodeFs.link),
  unlink: promisify(nodeFs.unlink),
  readdir: (path) => readdir(path, { withFileTypes: true }),
  entries: (path) => opendir(path, { bufferSize: PIECE_ENTRIES }),
}

/**
 * The real disk without threads: each call blocks the program until the system has answered. A small read then costs a fifth of the
 * CPU time.
 */
export const blockingDisk: Disk = {
  open: async (path, flags, mode) => nodeFs.openSync(path, flags, mode),
  write: async (file, bytes, offset, length) => nodeFs.writeSync(file, bytes, offset, length, null),
  read: async (file, bytes, offset, length, position) => nodeFs.readSync(file, bytes, offset, length, position ?? null),
  truncate: async (file, length) => nodeFs.ftruncateSync(file, length),
  fsync: async (file) => nodeFs.fsyncSync(file),
  close: async (file) => nodeFs.closeSync(file),
  fstat: async (file) => nodeFs.fstatSync(file),
  lstat: async (path) => nodeFs.lstatSync(path),
  realpath: async (path) => nodeFs.realpathSync.native(path),
  mkdir: async (path, mode) => void nodeFs.mkdirSync(path, mode),
  rmdir: async (path) => nodeFs.rmdirSync(path),
  link: async (from, to) => nodeFs.linkSync(from, to),
  unlink: async (path) => nodeFs.unlinkSync(path),
  readdir: async (path) => nodeFs.readdirSync(path, { withFileTypes: true }),
}

const WRITES = nodeFs.constants.O_WRONLY | nodeFs.constants.O_RDWR | nodeFs.constants.O_CREAT

/**
 * Makes a disk that only reads. Every call that would change something fails, as on a file system that is mounted
 * read-only.
 */
export function readingDisk(disk: Disk): Disk {
  const refuse = (): Promise<never> =>
    Promise.reject(Object.assign(new Error('EROFS: the store was opened for reading only'), { code: 'EROFS' }))
  return {
    ...disk,
    open: (path, flags, mode) => ((flags & WRITES) === 0 ? disk.open(path, flags, mode) : refuse()),
    mkdir: refuse,
    rmdir: refuse,
    link: refuse,
    unlink: refuse,
  }
}

const CODES: Readonly<Record<string, StorageErrorCode>> = {
  ENOENT: 'not-found',
  ENOTDIR: 'not-found',
  EISDIR: 'not-found',
  // Deno's unlink gives this code for a directory.
  ENOTEMPTY: 'not-found',
  EEXIST: 'exists',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  ELOOP: 'denied',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  ENAMETOOLONG: 'invalid-key',
}

/** Turns the operating system's error into a {@link StorageError}. Returns a StorageError unchanged. */
export function diskError(error: unknown, what: string): StorageError {
  if (error instanceof StorageError) return error
  const code = CODES[systemCode(error) ?? ''] ?? 'unavailable'
  return new StorageError(code, `${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
}

/** Reads a directory. Returns no entries if there is no such directory. */
export async function entriesIn(disk: Disk, path: string): Promise<nodeFs.Dirent[]> {
  try {
    return await disk.readdir(path)
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

/** Returns 'ENOENT' or another code of the operating system; undefined for other errors. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** Returns whether the operating system says that there is no such file. */
export function isGone(error: unknown): boolean {
  return systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR'
}
