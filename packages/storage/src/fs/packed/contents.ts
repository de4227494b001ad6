/**
 * The contents of the packs of one folder, as far as they were read.
 *
 * A grave is an entry that deletes a blob. It names the blob's pack and position, and not only its key. So packs may be
 * read in any order, and a deleted key can be used again.
 */
import { type Entry, KIND, seedOf } from './entry.ts'
import type { Counted } from './scan.ts'

export interface Grave {
  readonly name: string
  /** The pack of the buried blob, and its position in it. */
  readonly stem: string
  readonly at: number
}

export interface PackedBlob {
  readonly pack: Pack
  readonly entry: Entry
}

export class Pack {
  readonly stem: string
  readonly seed: number
  /** The name of its file. */
  fileName: string
  /** Its length and its last change, at the last look. */
  size = 0
  modifiedMs = 0
  /** The position at which reading goes on. */
  next = 0
  /** The number of all blobs in it, and of those that are not buried. */
  blobs = 0
  live = 0
  readonly graves: Map<string, Grave> = new Map()

  constructor(stem: string, fileName: string) {
    this.stem = stem
    this.seed = seedOf(stem)
    this.fileName = fileName
  }

  /** Returns whether a grave in this pack deletes a blob of this name. */
  buries(name: string): boolean {
    for (const grave of this.graves.values()) if (grave.name === name) return true
    return false
  }
}

export class Contents {
  readonly packs: Map<string, Pack> = new Map()
  /** Names of other files in the folder, and of folders, with a `/` behind them. */
  others: ReadonlySet<string> = new Set()
  /** Nearly always one blob for each name, because writers check for taken names. */
  readonly #blobs = new Map<string, PackedBlob[]>()
  readonly #buried = new Set<string>()

  /** The memory that the contents take, counted in entries. */
  get weight(): number {
    return this.#blobs.size + this.#buried.size + this.others.size + 1
  }

  get isEmpty(): boolean {
    return this.#blobs.size === 0
  }

  names(): Iterable<string> {
    return this.#blobs.keys()
  }

  blob(name: string): PackedBlob | undefined {
    return this.#blobs.get(name)?.[0]
  }

  /** Returns all blobs of this name. */
  blobs(name: string): readonly PackedBlob[] {
    return this.#blobs.get(name) ?? []
  }

  /** Adds an entry of the pack. An entry that is known already changes nothing. */
  add(pack: Pack, { entry, grave }: Counted): void {
    if (entry.kind === KIND.blob) this.#addBlob({ pack, entry })
    else if (grave !== undefined) this.#addGrave(pack, entry.name, grave)
  }

  #addBlob(blob: PackedBlob): void {
    const { pack, entry } = blob
    if (this.#buried.has(`${pack.stem} ${entry.at}`)) {
      pack.blobs++
      return
    }
    const same = this.#blobs.get(entry.name) ?? []
    if (same.some((each) => each.pack === pack && each.entry.at === entry.at)) return
    pack.blobs++
    pack.live++
    this.#blobs.set(entry.name, [...same, blob])
  }

  #addGrave(pack: Pack, name: string, body: string): void {
    const [, stem, at] = /^([0-9a-z-]+) (\d+)$/.exec(body) ?? []
    if (stem === undefined) return
    pack.graves.set(body, { name, stem, at: Number(at) })
    if (this.#buried.has(body)) return
    this.#buried.add(body)
    const same = this.#blobs.get(name) ?? []
    const left = same.filter((each) => each.pack.stem !== stem || each.entry.at !== Number(at))
    if (left.length > 0) this.#blobs.set(name, left)
    else this.#blobs.delete(name)
    for (const each of same) if (!left.includes(each)) each.pack.live--
  }
}

/** Returns the names of all blobs and folders, in any order. */
export function namesIn(contents: Contents): string[] {
  const names = [...contents.names()]
  for (const name of contents.others) if (contents.blob(name) === undefined) names.push(name)
  return names
}
