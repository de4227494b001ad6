/**
 * Blobs in packs: many small blobs in one file, so that many commits share one write and one fsync.
 *
 *     2026/11/21/0542/.pack-7-b1946ac92492d234-0                    small blobs with unique keys, one behind the other
 *     2026/11/21/0542/01KASJ3V5QCYF6Y3W9T2Z8N4RB.eml                a large blob is a file; so is one whose key is not unique
 *
 * Each store writes to its own packs, one at a time for a folder. So any number of processes write to one directory
 * without a lock. A delete is also an entry, called a grave, in a pack of the store that deletes. A reader remembers how
 * far it has read each pack, and goes on from there. A pack without blobs is removed (reclaiming.ts).
 *
 * entry.ts describes the bytes, scan.ts which entries count in a pack that was cut short, appender.ts the commit.
 */
import { constants } from 'node:fs'
import { join } from 'node:path'
import { readerOf } from '../../blob/bytes-reader.ts'
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
  WholeBlob,
  WriteOptions,
} from '../../blob/contract.ts'
import { checkKey } from '../../blob/contract.ts'
import { StorageError } from '../../blob/error.ts'
import { diskError, isGone, systemCode } from '../../disk/disk.ts'
import type { FileStore } from '../files/store.ts'
import { type ListedFolders, listPage, pageRequest, Tree, walkFolders } from '../../disk/listing.ts'
import type { FileStoreDeps } from '../files/writer.ts'
import { FolderAppenders, type NewBlob } from './folder-appenders.ts'
import { type Contents, namesIn } from './contents.ts'
import { type Folder, Folders, placeOf } from './folder.ts'
import { Reclaiming } from './reclaiming.ts'
import { PackedView, readBlob } from './view.ts'
import { PackedWriter } from './writer.ts'

export class PackedStore implements BlobStore, ListedFolders {
  readonly #files: FileStore
  readonly #deps: FileStoreDeps
  readonly #tree: Tree
  readonly #appenders: FolderAppenders
  readonly #folders: Folders
  readonly #reclaiming: Reclaiming

  /** @param now The clock: milliseconds since 1970 */
  constructor(files: FileStore, root: string, deps: FileStoreDeps, now: () => number) {
    const { disk, brief, directories } = deps
    this.#files = files
    this.#deps = deps
    this.#tree = new Tree(disk, root)
    this.#appenders = new FolderAppenders(deps, now)
    this.#folders = new Folders({ disk, brief, root, safeEnd: (stem) => this.#appenders.safeEnd(stem) })
    this.#reclaiming = new Reclaiming({ disk, directories, root, folders: this.#folders, appenders: this.#appenders })
  }

  write(key: string, options: WriteOptions = {}): BlobWriter {
    const { folder, name } = placeOf(checkKey(key))
    const check = (): Promise<void> => this.#checkFree(folder, name)
    if (options.hasUniqueKey !== true) return this.#files.write(key, options, check)
    // Does not read the folder for each blob, because it may have very many.
    const claim = (): Promise<void> => this.#appenders.claim(this.#folders.get(folder), name, check)
    const file = (): BlobWriter => this.#files.write(key, options, claim)
    const pack = (blobs: readonly NewBlob[]): Promise<void> => this.#pack(folder, blobs)
    return new PackedWriter({ folder, name, pack, file }, key, options.size)
  }

  commitBoth(first: BlobWriter, second: WholeBlob): Promise<void> | undefined {
    if (!(first instanceof PackedWriter)) return undefined
    const { folder, name } = placeOf(checkKey(second.key))
    return first.commitWith(folder, { name, body: second.bytes })
  }

  async read(key: string): Promise<BlobReader> {
    const { folder, name } = placeOf(checkKey(key))
    for (let triesLeft = 1; ; triesLeft--) {
      const { path, contents } = await this.#look(folder, `can't read ${key}`)
      const blob = contents.blob(name)
      if (blob === undefined) return this.#files.read(key)
      try {
        return readerOf(await this.#deps.brief.run(() => readBlob(this.#deps.disk, path, blob)))
      } catch (error) {
        // The blob was deleted meanwhile, and its pack was removed.
        if (!isGone(error) || triesLeft === 0) throw diskError(error, `can't read ${key}`)
      }
    }
  }

  view(): BlobView {
    return new PackedView(this, this.#files.view(), {
      disk: this.#deps.disk,
      tree: this.#tree,
      newFolder: (name) => this.#folders.make(name),
    })
  }

  async head(key: string): Promise<BlobInfo | undefined> {
    const { folder, name } = placeOf(checkKey(key))
    const { contents } = await this.#look(folder, `can't look at ${key}`)
    const entry = contents.blob(name)?.entry
    if (entry === undefined) return this.#files.head(key)
    return { size: entry.size, modifiedAt: new Date(entry.time) }
  }

  async list(options: ListOptions = {}): Promise<KeyPage> {
    const request = pageRequest(options)
    try {
      return await listPage(this, request)
    } catch (error) {
      throw diskError(error, `can't list ${request.range.prefix}`)
    }
  }

  async *walk(options: WalkOptions = {}): AsyncGenerator<KeyBatch> {
    try {
      yield* walkFolders(this, options)
    } catch (error) {
      throw diskError(error, `can't list ${options.prefix ?? ''}`)
    }
  }

  async delete(key: string): Promise<void> {
    const { folder: folderName, name } = placeOf(checkKey(key))
    const folder = this.#folders.get(folderName)
    try {
      const contents = await folder.look()
      const blobs = contents.blobs(name)
      await Promise.all(blobs.map((blob) => this.#appenders.bury(folder, blob)))
      if (blobs.length === 0) await this.#makeSafe(folder, contents, name)
      if (blobs.length === 0 || contents.others.has(name)) await this.#files.delete(key)
      else await this.#reclaiming.deleted(folder, await folder.look())
    } catch (error) {
      throw diskError(error, `can't delete ${key}`)
    }
  }

  async sweep(olderThanMs: number): Promise<number> {
    try {
      await this.#reclaiming.sweep(Date.now() - olderThanMs)
    } catch (error) {
      throw diskError(error, `can't sweep packs`)
    }
    return this.#files.sweep(olderThanMs)
  }

  /** Called by listings. */
  async names(folder: string): Promise<string[]> {
    return namesIn(await this.#folders.get(folder).look())
  }

  /** Called by listings. */
  async size(key: string): Promise<number | undefined> {
    const { folder, name } = placeOf(key)
    const place = this.#folders.get(folder)
    // On a page with many folders, the first ones are forgotten before their sizes are asked for.
    const contents = place.known ?? (await place.look())
    return contents.blob(name)?.entry.size ?? this.#tree.size(key)
  }

  #pack(folderName: string, blobs: readonly NewBlob[]): Promise<void> {
    const folder = this.#folders.get(folderName)
    return this.#appenders.add(folder, blobs, async (name) => this.#refuseTaken(folder, await folder.look(), name))
  }

  /**
   * Called before a file gets its name.
   * @throws StorageError `exists` if a blob has this name, even in a pack
   */
  async #checkFree(folderName: string, name: string): Promise<void> {
    const folder = this.#folders.get(folderName)
    await this.#refuseTaken(folder, await folder.look(), name)
    this.#appenders.note(folder, name)
  }

  /**
   * Checks that a name is free.
   * @throws StorageError `exists` if a blob has it. That blob is then durable
   */
  async #refuseTaken(folder: Folder, contents: Contents, name: string): Promise<void> {
    const blob = contents.blob(name)
    if (blob === undefined && !contents.others.has(name)) return
    await this.#deps.directories.sync(folder.path)
    if (blob !== undefined) await this.#syncPack(folder, blob.pack.stem, blob.pack.fileName)
    throw new StorageError('exists', `there is a blob ${folder.folder}${name}`)
  }

  /**
   * Syncs the graves of a blob that is gone. The caller relies on the delete, and the process that deleted the blob may
   * have died before the sync.
   */
  async #makeSafe(folder: Folder, contents: Contents, name: string): Promise<void> {
    const diggers = [...contents.packs.values()].filter((pack) => pack.buries(name))
    await Promise.all(diggers.map(({ stem, fileName }) => this.#syncPack(folder, stem, fileName)))
  }

  /** Syncs a pack of another store, whose writer may have died before its sync. */
  async #syncPack(folder: Folder, stem: string, fileName: string): Promise<void> {
    const { disk } = this.#deps
    if (this.#appenders.isOwn(stem)) return
    try {
      const file = await disk.open(join(folder.path, fileName), constants.O_RDONLY | constants.O_NOFOLLOW)
      try {
        await disk.fsync(file)
      } finally {
        await disk.close(file)
      }
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
    }
  }

  async #look(folderName: string, what: string): Promise<{ path: string; contents: Contents }> {
    try {
      const folder = this.#folders.get(folderName)
      return { path: folder.path, contents: await folder.look() }
    } catch (error) {
      throw diskError(error, what)
    }
  }
}
