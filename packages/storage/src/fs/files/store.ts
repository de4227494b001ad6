/**
 * Blobs as files: a key is a path below one directory.
 *
 * Files are 0600 and directories 0700. A key cannot lead out of the directory: keys have neither `..` nor an absolute
 * path, directories on the way are never symbolic links, and a link in the place of a file is not followed. This
 * protects from mistakes and hostile keys. It does not protect from somebody who may write into the directory.
 *
 * For Linux and macOS. If keys differ only in case, a disk that ignores case can hold only one of them.
 */
import { constants } from 'node:fs'
import { dirname, join } from 'node:path'
import type {
  BlobInfo,
  BlobReader,
  BlobStore,
  BlobView,
  BlobWriter,
  KeyBatch,
  KeyPage,
  ListOptions,
  WalkOptions,
  WriteOptions,
} from '../../blob/contract.ts'
import { checkKey } from '../../blob/contract.ts'
import { StorageError } from '../../blob/error.ts'
import { isRootFolder, isTimeFolder } from '../../record/layout.ts'
import { type Disk, diskError, isGone, systemCode } from '../../disk/disk.ts'
import { type ListedFolders, listPage, pageRequest, Tree, walkFolders, walkUnordered } from '../../disk/listing.ts'
import { regular } from '../../disk/reading.ts'
import { type FileStoreDeps, FileWriter } from './writer.ts'

const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW

/** Blobs as files below one directory. */
export class FileStore implements BlobStore {
  readonly #root: string
  readonly #deps: FileStoreDeps
  /** For writers beside others. */
  readonly #besides: FileStoreDeps
  readonly #folders: ListedFolders

  constructor(root: string, deps: FileStoreDeps) {
    const { disk, brief } = deps
    this.#root = root
    this.#deps = deps
    this.#besides = { ...deps, large: deps.besides }
    const tree = new Tree(disk, root)
    this.#folders = {
      names: (folder) => brief.run(() => namesInside(disk, root, folder, tree)),
      size: (key) => brief.run(() => tree.size(key)),
    }
  }

  /** @param check Called before the blob gets its name. If it throws, the commit throws the same error */
  write(key: string, options: WriteOptions = {}, check?: () => Promise<void>): BlobWriter {
    const deps = options.besidesAnother === true ? this.#besides : this.#deps
    return new FileWriter(deps, this.#path(key), options.size, check)
  }

  async read(key: string): Promise<BlobReader> {
    const path = this.#path(key)
    return this.#deps.reading.read(key, () => this.#openFile(path))
  }

  /** Makes a view. It looks for symbolic links on the way to a folder only when the folder differs from the last one. */
  view(): BlobView {
    let checked = ''
    return {
      list: (options) => this.list(options),
      walk: (options) => this.walk(options),
      read: async (key) => {
        const path = this.#path(key)
        return this.#deps.reading.read(key, async () => {
          const directory = dirname(path)
          if (directory === checked) return this.#deps.disk.open(path, READ_FLAGS)
          const file = await this.#openFile(path)
          checked = directory
          return file
        })
      },
    }
  }

  async head(key: string): Promise<BlobInfo | undefined> {
    const path = this.#path(key)
    try {
      await checkInside(this.#deps.disk, dirname(path))
      const stats = regular(await this.#deps.disk.lstat(path), path)
      return { size: stats.size, modifiedAt: stats.mtime }
    } catch (error) {
      const failure = diskError(error, `can't look at ${key}`)
      if (failure.code === 'not-found') return undefined
      throw failure
    }
  }

  async list(options: ListOptions = {}): Promise<KeyPage> {
    const request = pageRequest(options)
    try {
      return await listPage(this.#folders, request)
    } catch (error) {
      throw diskError(error, `can't list ${request.range.prefix}`)
    }
  }

  async *walk(options: WalkOptions = {}): AsyncGenerator<KeyBatch> {
    const { prefix = '', after, before, order, sizes } = options
    const { disk } = this.#deps
    const entries = disk.entries?.bind(disk)
    const isOrdered = order !== 'any' || after !== undefined || before !== undefined || sizes === true
    try {
      if (isOrdered || entries === undefined) yield* walkFolders(this.#folders, options)
      else yield* walkUnordered(entries, this.#root, prefix, (path) => checkInside(disk, path))
    } catch (error) {
      throw diskError(error, `can't list ${prefix}`)
    }
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key)
    const { disk, directories } = this.#deps
    try {
      await checkInside(this.#deps.disk, dirname(path))
      await disk.unlink(path).catch((error: unknown) => {
        // The file is gone, but its removal may not be synced, because the process that removed it may have died
        // before.
        if (systemCode(error) !== 'ENOENT') throw error
      })
      await directories.flush(dirname(path))
    } catch (error) {
      const failure = diskError(error, `can't delete ${key}`)
      if (failure.code !== 'not-found') throw failure
    }
  }

  async sweep(olderThanMs: number): Promise<number> {
    const before = Date.now() - olderThanMs
    try {
      await this.#removeEmpty('', before)
      return await this.#deps.temporary.sweep(before)
    } catch (error) {
      throw diskError(error, `can't sweep ${this.#root}`)
    }
  }

  #path(key: string): string {
    return join(this.#root, checkKey(key))
  }

  async #openFile(path: string): Promise<number> {
    await checkInside(this.#deps.disk, dirname(path))
    return this.#deps.disk.open(path, READ_FLAGS)
  }

  /**
   * Removes empty folders of mail, the deepest first. `rmdir` fails for a folder that is filled meanwhile. Other folders are not even
   * read, because the directory may hold files of other programs.
   */
  async #removeEmpty(folder: string, before: number): Promise<void> {
    const { disk } = this.#deps
    for (const entry of await disk.readdir(join(this.#root, folder))) {
      const below = `${folder}${entry.name}/`
      const isRoot = isRootFolder(below)
      if (!entry.isDirectory() || (!isRoot && !isTimeFolder(below))) continue
      const path = join(this.#root, below)
      try {
        const { mtimeMs } = await disk.lstat(path)
        await this.#removeEmpty(below, before)
        if (mtimeMs < before && !isRoot) await disk.rmdir(path)
      } catch (error) {
        const code = systemCode(error)
        if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw error
      }
    }
  }
}

async function namesInside(disk: Disk, root: string, folder: string, tree: Tree): Promise<string[]> {
  try {
    await checkInside(disk, dirname(join(root, folder, 'any')))
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
  return tree.names(folder)
}

/** Checks that no symbolic link on the way leads out of the store. @throws StorageError `denied` */
export async function checkInside(disk: Disk, directory: string): Promise<void> {
  if ((await disk.realpath(directory)) !== directory) {
    throw new StorageError('denied', `${directory} leads out of the store`)
  }
}
