/** Blobs in a directory. A key is a path below it; files/store.ts and packed/index.ts say which files there are. */
import { join } from 'node:path'
import type { BlobStore } from '../blob/contract.ts'
import { checkOpenFiles, diskDeps } from '../disk/deps.ts'
import { Directories } from '../disk/directories.ts'
import { blockingDisk, type Disk, nodeDisk, readingDisk } from '../disk/disk.ts'
import { FileStore } from './files/store.ts'
import type { Layout } from '../disk/marker.ts'
import { openDirectory } from '../disk/opening.ts'
import { PackedStore } from './packed/index.ts'
import { Root, type RootWatch } from '../disk/root.ts'
import { TemporaryDirectory } from '../disk/temporary-directory.ts'
import type { FileStoreDeps } from './files/writer.ts'

export { checkOpenFiles, MAX_BRIEF } from '../disk/deps.ts'

export interface FsOptions extends RootWatch {
  /**
   * `files`: each blob is a file. `packed`: packs hold many small blobs, so many commits share one fsync. The layout is
   * chosen when the directory is made. Default: the layout of the directory, or `files` for a new one.
   */
  readonly layout?: FsLayout
  /**
   * The greatest number of blobs over 64 KiB that are written at the same time, the greatest number of attachments that are written beside
   * them, and the greatest number that are read. Others wait. Default 1,024.
   */
  readonly maxOpenFiles?: number
  /**
   * Default true. False only reads a directory that exists: the store makes, tests and changes nothing, and writing is
   * `denied`.
   */
  readonly writable?: boolean
  /**
   * If true, calls to the operating system block the program. A program that does nothing else, such as an export, then needs half
   * of the time. Default false.
   */
  readonly blocking?: boolean
}

/** The layouts of blobs in a directory. */
export type FsLayout = 'files' | 'packed'

const FILES: Layout = { name: 'fs', version: 1 }
const PACKED: Layout = { name: 'packed', version: 1 }

/**
 * Opens a store of blobs in a directory, and makes the directory if it is missing.
 *
 * @throws StorageError at once if the directory can't be used; its message says why. `other-layout` if the directory
 *   has mail in another layout. Then nothing is changed
 * @throws RangeError if an option is out of its range
 */
export function fs(directory: string, options: FsOptions = {}): BlobStore {
  return fsOn(options.blocking === true ? blockingDisk : nodeDisk, directory, options)
}

/** Opens a store in the same way, on a disk that a test watches or makes fail. */
export function fsOn(disk: Disk, directory: string, options: FsOptions = {}): BlobStore {
  const maxOpenFiles = checkOpenFiles(options.maxOpenFiles)
  const { writable = true } = options
  const { root, layout } = openDirectory(directory, layoutsOf(options.layout), { writable })
  const isPacked = layout === PACKED
  if (!writable) return (isPacked ? packedAt : fsAt)(readingDisk(disk), root, maxOpenFiles)
  const watched = new Root(disk, root, { watch: options, reopen: () => void openDirectory(root, [layout]) }).opened()
  return isPacked ? packedIn(disk, watched, maxOpenFiles) : filesIn(disk, watched, root, maxOpenFiles)
}

/** Makes a store of files in a directory that is already open: on a disk that a test simulates, or for reading only. */
export function fsAt(disk: Disk, root: string, maxOpenFiles: number = checkOpenFiles()): BlobStore {
  return filesIn(disk, new Root(disk, root), root, maxOpenFiles)
}

/** Makes a store of files in a directory that is already open: the root of a store, or a directory in it. */
export function filesIn(disk: Disk, root: Root, directory: string, maxOpenFiles: number): FileStore {
  return new FileStore(directory, fileStoreDeps(disk, root, directory, maxOpenFiles))
}

/**
 * Makes a store of packs in a directory that is already open.
 * @param now The clock: milliseconds since 1970
 */
export function packedAt(
  disk: Disk,
  root: string,
  maxOpenFiles: number = checkOpenFiles(),
  now: () => number = Date.now,
): BlobStore {
  return packedIn(disk, new Root(disk, root), maxOpenFiles, now)
}

function packedIn(disk: Disk, root: Root, maxOpenFiles: number, now: () => number = Date.now): BlobStore {
  const deps = fileStoreDeps(disk, root, root.path, maxOpenFiles)
  return new PackedStore(new FileStore(root.path, deps), root.path, deps, now)
}

function fileStoreDeps(disk: Disk, root: Root, directory: string, maxOpenFiles: number): FileStoreDeps {
  const deps = diskDeps(disk, maxOpenFiles)
  const directories = new Directories(disk, deps.brief, root, directory)
  const temporary = join(directory, '.tmp')
  return {
    ...deps,
    directories,
    temporary: new TemporaryDirectory(disk, temporary, {
      async makeDirectory() {
        await directories.check()
        await disk.mkdir(temporary, 0o700).catch(() => undefined)
      },
    }),
  }
}

/** Returns the layouts that the directory may have; a new directory gets the first. @throws RangeError */
function layoutsOf(layout: FsLayout | undefined): readonly [Layout, ...Layout[]] {
  if (layout === undefined) return [FILES, PACKED]
  if (layout === 'files') return [FILES]
  if (layout === 'packed') return [PACKED]
  throw new RangeError(`layout: ${String(layout)} is neither files nor packed`)
}
