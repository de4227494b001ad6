/**
 * Reads many blobs, one folder after the other, with few calls to the disk. It looks at a folder once, when the folder is listed. It reads
 * a pack in pieces that have many entries.
 */
import { constants } from 'node:fs'
import { join } from 'node:path'
import { readerOf } from '../../blob/bytes-reader.ts'
import type {
  BlobReader,
  BlobStore,
  BlobView,
  KeyBatch,
  KeyPage,
  ListOptions,
  WalkOptions,
} from '../../blob/contract.ts'
import { StorageError } from '../../blob/error.ts'
import { type Disk, diskError, isGone } from '../../disk/disk.ts'
import { type ListedFolders, type Tree, walkFolders } from '../../disk/listing.ts'
import { namesIn, type PackedBlob } from './contents.ts'
import { decode, isBody } from './entry.ts'
import { type Folder, placeOf } from './folder.ts'
import { fill } from './scan.ts'

const PIECE_BYTES = 512 * 1024

/** The number of blobs at each end of a folder that the view remembers when it lists the next folder. A caller reads fewer blobs ahead. */
const MAX_AT_END = 100

/** A folder, as it was when it was listed. */
interface Listed {
  readonly name: string
  readonly path: string
  readonly others: ReadonlySet<string>
  names(): Iterable<string>
  blob(name: string): PackedBlob | undefined
}

function endsOf({ name, path, others, names, blob }: Listed): Listed {
  const sorted = [...names()].toSorted()
  const ends = new Map<string, PackedBlob | undefined>()
  for (const each of [...sorted.slice(0, MAX_AT_END), ...sorted.slice(-MAX_AT_END)]) ends.set(each, blob(each))
  return { name, path, others, names: () => ends.keys(), blob: (each) => ends.get(each) }
}

export interface PackedViewDeps {
  readonly disk: Disk
  readonly tree: Tree
  newFolder(name: string): Folder
}

export class PackedView implements BlobView, ListedFolders {
  readonly #store: BlobStore
  readonly #files: BlobView
  readonly #deps: PackedViewDeps
  /** The folder that was listed last. */
  #current: Listed | undefined
  /** The folder before, with the blobs at both of its ends, because the caller may still read the blobs that it listed last. */
  #previous: Listed | undefined
  readonly #buffer = Buffer.allocUnsafeSlow(PIECE_BYTES)
  /** The pack whose bytes are in the buffer, from `#at` to `#end`; '' if there are none. */
  #stem = ''
  #at = 0
  #end = 0
  /** Reads take turns, because they share the buffer. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(store: BlobStore, files: BlobView, deps: PackedViewDeps) {
    this.#store = store
    this.#files = files
    this.#deps = deps
  }

  list(options?: ListOptions): Promise<KeyPage> {
    return this.#store.list(options)
  }

  async *walk(options: WalkOptions = {}): AsyncGenerator<KeyBatch> {
    try {
      yield* walkFolders(this, options)
    } catch (error) {
      throw diskError(error, `can't list ${options.prefix ?? ''}`)
    }
  }

  read(key: string): Promise<BlobReader> {
    const reading = this.#turn.then(() => this.#read(key))
    this.#turn = reading.catch(() => undefined)
    return reading
  }

  /** Called by listings. */
  async names(name: string): Promise<string[]> {
    if (this.#current !== undefined) this.#previous = endsOf(this.#current)
    // Forgets the old folder first, so that two large folders are never in memory together.
    this.#current = undefined
    const folder = this.#deps.newFolder(name)
    const contents = await folder.look()
    const { others } = contents
    this.#current = {
      name,
      path: folder.path,
      blob: (each) => contents.blob(each),
      names: () => contents.names(),
      others,
    }
    return namesIn(contents)
  }

  /** Called by listings. */
  async size(key: string): Promise<number | undefined> {
    const { folder, name } = placeOf(key)
    return this.#listed(folder)?.blob(name)?.entry.size ?? (await this.#deps.tree.size(key))
  }

  async #read(key: string): Promise<BlobReader> {
    const { folder, name } = placeOf(key)
    const listed = this.#listed(folder)
    if (listed === undefined) return this.#store.read(key)
    const blob = listed.blob(name)
    if (blob === undefined) return listed.others.has(name) ? this.#files.read(key) : this.#store.read(key)
    if (lengthOf(blob) > PIECE_BYTES) return this.#store.read(key)
    try {
      return readerOf(bodyIn(await this.#bytesOf(listed.path, blob), blob).slice())
    } catch (error) {
      // The blob was deleted meanwhile, and its pack was removed.
      if (isGone(error)) return this.#store.read(key)
      throw diskError(error, `can't read ${key}`)
    }
  }

  #listed(folder: string): Listed | undefined {
    return [this.#current, this.#previous].find((each) => each?.name === folder)
  }

  /** Returns the bytes of the entry of the blob. The next call may change them. */
  async #bytesOf(path: string, blob: PackedBlob): Promise<Buffer> {
    const { pack, entry } = blob
    const end = entry.at + lengthOf(blob)
    if (this.#stem !== pack.stem || entry.at < this.#at || end > this.#end) {
      // Reads before and after the entry, because entries are not exactly in the order of their keys, and a caller may read backwards.
      const at = Math.max(0, entry.at - Math.floor((PIECE_BYTES - lengthOf(blob)) / 2))
      this.#stem = ''
      const read = await readPack(this.#deps.disk, join(path, pack.fileName), this.#buffer, at, pack.size)
      this.#stem = pack.stem
      this.#at = at
      this.#end = at + read.length
    }
    return this.#buffer.subarray(entry.at - this.#at, Math.min(end, this.#end) - this.#at)
  }
}

/**
 * Reads the bytes of a blob.
 * @throws StorageError `corrupt` if they are not the bytes that were written
 */
export async function readBlob(disk: Disk, path: string, blob: PackedBlob): Promise<Uint8Array> {
  const { at } = blob.entry
  const length = lengthOf(blob)
  const bytes = await readPack(disk, join(path, blob.pack.fileName), Buffer.allocUnsafeSlow(length), at, at + length)
  return bodyIn(bytes, blob)
}

async function readPack(disk: Disk, path: string, buffer: Buffer, at: number, end: number): Promise<Buffer> {
  const file = await disk.open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    return await fill(disk, file, buffer, at, end)
  } finally {
    await disk.close(file)
  }
}

function lengthOf({ entry }: PackedBlob): number {
  return entry.bodyAt + entry.size - entry.at
}

/** Returns the body in the bytes of an entry. @throws StorageError `corrupt` */
function bodyIn(bytes: Buffer, { pack, entry }: PackedBlob): Uint8Array {
  const found = decode(bytes, 0, pack.seed, entry.at)
  const headBytes = entry.bodyAt - entry.at
  const body = new Uint8Array(bytes.buffer, bytes.byteOffset + headBytes, Math.max(0, bytes.length - headBytes))
  if (found?.checksum === entry.checksum && isBody(body, entry, pack.seed)) return body
  throw new StorageError('corrupt', `${entry.name} in ${pack.fileName} does not have the bytes that were written`)
}
