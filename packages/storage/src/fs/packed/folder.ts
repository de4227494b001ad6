/** One folder of a store: its packs, which are read further as they grow, and the files and folders beside them. */
import { constants } from 'node:fs'
import { dirname, join } from 'node:path'
import { isSegment } from '../../blob/contract.ts'
import { type Disk, isGone } from '../../disk/disk.ts'
import { checkInside } from '../files/store.ts'
import { Group } from '../../disk/group.ts'
import type { Slots } from '../../disk/slots.ts'
import { Contents, Pack } from './contents.ts'
import { stemOf } from './pack-name.ts'
import { scan } from './scan.ts'

/** The greatest number of entries in memory, of all folders together, besides those of the folder that is asked for. */
const MAX_ENTRIES = 200_000
const MAX_FOLDERS = 256

/** What all folders of one store share. */
export interface FolderDeps {
  readonly disk: Disk
  readonly brief: Slots
  readonly root: string
  /** Returns how many bytes are safe of a pack that this store has open for writing; undefined for every other pack. */
  safeEnd(stem: string): number | undefined
}

export class Folder {
  /** '' or ending in `/`. */
  readonly folder: string
  readonly path: string
  readonly #deps: FolderDeps
  readonly #looks: Group<Contents>
  #contents = new Contents()
  #isRead = false

  constructor(deps: FolderDeps, folder: string) {
    this.folder = folder
    this.path = dirname(join(deps.root, folder, 'any'))
    this.#deps = deps
    this.#looks = new Group(() => deps.brief.run(() => this.#look()))
  }

  get weight(): number {
    return this.#contents.weight
  }

  /** The contents at the last look; undefined if there was none. */
  get known(): Contents | undefined {
    return this.#isRead ? this.#contents : undefined
  }

  /** Reads the folder, and returns its contents after the call. */
  look(): Promise<Contents> {
    return this.#looks.join()
  }

  async #look(): Promise<Contents> {
    const names = await this.#names()
    const packs = new Map<string, string>()
    const others = new Set<string>()
    for (const name of names) {
      const stem = stemOf(name)
      if (stem === undefined) others.add(name)
      // Takes the first name of a pack that has two names.
      else if (!packs.has(stem) || !name.endsWith('.end')) packs.set(stem, name)
    }
    if (!(await this.#extend(this.#contents, packs))) {
      // A pack is gone or was cut, so all packs are read again.
      const contents = new Contents()
      await this.#extend(contents, packs)
      this.#contents = contents
    }
    this.#contents.others = others
    this.#isRead = true
    return this.#contents
  }

  /** Reads new entries. Returns false if a known pack is gone or was cut. */
  async #extend(contents: Contents, packs: ReadonlyMap<string, string>): Promise<boolean> {
    for (const stem of contents.packs.keys()) if (!packs.has(stem)) return false
    for (const [stem, fileName] of packs) {
      const known = contents.packs.get(stem)
      const pack = known ?? new Pack(stem, fileName)
      pack.fileName = fileName
      try {
        if (!(await this.#read(contents, pack))) return false
        contents.packs.set(stem, pack)
      } catch (error) {
        if (!isGone(error)) throw error
        // The pack was removed meanwhile, and all its blobs had been deleted before.
        if (known !== undefined) return false
      }
    }
    return true
  }

  /** Reads the new entries of a pack. Returns false if it has become shorter. */
  async #read(contents: Contents, pack: Pack): Promise<boolean> {
    const { disk } = this.#deps
    const safeEnd = this.#deps.safeEnd(pack.stem)
    const path = join(this.path, pack.fileName)
    const stats = await disk.lstat(path)
    const size = safeEnd ?? stats.size
    pack.modifiedMs = stats.mtimeMs
    if (!stats.isFile() || size === pack.size) return true
    if (size < pack.size) return false
    const file = await disk.open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      const options = { seed: pack.seed, from: pack.next, size, isSafe: safeEnd !== undefined }
      pack.next = await scan(disk, file, options, (counted) => contents.add(pack, counted))
      pack.size = size
    } finally {
      await disk.close(file)
    }
    return true
  }

  async #names(): Promise<string[]> {
    const { disk } = this.#deps
    try {
      await checkInside(disk, this.path)
      const names: string[] = []
      for (const entry of await disk.readdir(this.path)) {
        if (entry.isFile() && (isSegment(entry.name) || stemOf(entry.name) !== undefined)) names.push(entry.name)
        else if (entry.isDirectory() && isSegment(entry.name)) names.push(`${entry.name}/`)
      }
      return names
    } catch (error) {
      if (isGone(error)) return []
      throw error
    }
  }
}

/** Keeps the folders that were last asked for. */
export class Folders {
  readonly #deps: FolderDeps
  readonly #folders = new Map<string, Folder>()

  constructor(deps: FolderDeps) {
    this.#deps = deps
  }

  get(name: string): Folder {
    const known = this.#folders.get(name)
    if (known !== undefined) {
      this.#folders.delete(name)
      this.#folders.set(name, known)
      return known
    }
    const folder = this.make(name)
    this.#trim()
    this.#folders.set(name, folder)
    return folder
  }

  /** Makes a folder that is not kept. */
  make(name: string): Folder {
    return new Folder(this.#deps, name)
  }

  #trim(): void {
    let weight = 0
    for (const folder of this.#folders.values()) weight += folder.weight
    for (const [name, folder] of this.#folders) {
      if (weight <= MAX_ENTRIES && this.#folders.size < MAX_FOLDERS) return
      weight -= folder.weight
      this.#folders.delete(name)
    }
  }
}

/** Splits a key into the folder, '' or ending in `/`, and the name in it. */
export function placeOf(key: string): { folder: string; name: string } {
  const end = key.lastIndexOf('/') + 1
  return { folder: key.slice(0, end), name: key.slice(end) }
}
