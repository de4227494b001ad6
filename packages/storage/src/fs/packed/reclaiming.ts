/**
 * Removing packs in which nothing is left.
 *
 * A pack may go once all its blobs are buried, and all that is buried by graves in it is gone for good: its own pack does not count,
 * they go together. Gone for good means that the directory was synced since: a power cut must not bring back a pack whose graves
 * are lost. Where two packs bury one another, or nothing but graves is left in several, the graves are copied to another first.
 *
 * Somebody may still be writing to a pack of another store. So it gets a second name, and is looked at once more: see appender.ts.
 */
import { join } from 'node:path'
import { isTimeFolder, rootOf } from '../../mail/layout.ts'
import type { Directories } from '../../disk/directories.ts'
import { type Disk, entriesIn, isGone, systemCode } from '../../disk/disk.ts'
import { MAX_BATCH_BYTES } from './appender.ts'
import type { FolderAppenders } from './folder-appenders.ts'
import type { Contents, Grave, Pack } from './contents.ts'
import type { Folder, Folders } from './folder.ts'
import { endName, packName } from './pack-name.ts'

/** A folder that was written to a moment ago will most likely be again: its packs are left for later. */
const YOUNG_MS = 60_000
/** Packs in which nothing is left: each look at their folder looks at each of them. */
const MAX_LEFT = 32
/** Packs, then those that held their graves, and so on: more is left for the next time. */
const MAX_ROUNDS = 8

interface ReclaimingDeps {
  readonly disk: Disk
  readonly directories: Directories
  readonly root: string
  readonly folders: Folders
  readonly appenders: FolderAppenders
}

export class Reclaiming {
  readonly #deps: ReclaimingDeps
  readonly #busy = new Set<string>()
  /** Folders that were emptied while their packs were young, and when. */
  readonly #young = new Map<string, number>()

  constructor(deps: ReclaimingDeps) {
    this.#deps = deps
  }

  /**
   * After a delete: removes packs where the folder holds no blob in one any more, unless somebody wrote to them just now, and where
   * many hold nothing but graves; also in folders that were too young at an earlier one. What fails is left for a sweep: the delete
   * is done.
   */
  async deleted(folder: Folder, { packs, isEmpty }: Contents): Promise<void> {
    const before = Date.now() - YOUNG_MS
    const left = [...packs.values()].filter((pack) => pack.live === 0 && this.#isLeft(pack, before))
    const isOver = isEmpty && [...packs.values()].some(({ blobs, modifiedMs }) => blobs > 0 && modifiedMs <= before)
    const { folder: name } = folder
    this.#young.delete(name)
    if (isOver || left.length > MAX_LEFT) await this.#reclaim(folder, before).catch(() => undefined)
    else if (isEmpty) this.#young.set(name, Date.now())
    for (const [grown, since] of this.#young) {
      if (since > before) return
      this.#young.delete(grown)
      await this.#reclaim(this.#deps.folders.get(grown), before).catch(() => undefined)
    }
  }

  /** Removes all packs in which nothing is left, of other stores those that nobody has touched since `before`. */
  async sweep(before: number): Promise<void> {
    for await (const name of this.#timeFolders('')) await this.#reclaim(this.#deps.folders.get(name), before)
  }

  async #reclaim(folder: Folder, before: number): Promise<void> {
    if (this.#busy.has(folder.folder)) return
    this.#busy.add(folder.folder)
    try {
      for (let round = 0; round < MAX_ROUNDS && (await this.#round(folder, before)); round++);
    } catch (error) {
      // Somebody else took the last pack, and the folder.
      if (!isGone(error)) throw error
    } finally {
      this.#busy.delete(folder.folder)
    }
  }

  /** Removes some packs. Answers whether there may be more. */
  async #round(folder: Folder, before: number): Promise<boolean> {
    const { appenders } = this.#deps
    if ((await folder.look()).packs.size === 0) return false
    await appenders.close(folder.folder)
    const contents = await folder.look()
    const left = [...contents.packs.values()].filter((pack) => pack.live === 0 && this.#isLeft(pack, before))
    const free = left.filter((pack) => neededGraves(pack, contents).length === 0)
    if (free.length > 0) return this.#remove(folder, free, [])
    const emptied = left.filter(({ blobs }) => blobs > 0)
    const moved = emptied.length > 0 ? emptied : left.length > 1 ? left : []
    if (moved.length === 0) return false
    const graves = moved.flatMap((pack) => neededGraves(pack, contents))
    await Promise.all(graves.map(({ name, stem, at }) => appenders.buryAt(folder, name, stem, at)))
    return this.#remove(folder, moved, graves)
  }

  /** Whether nobody writes to the pack, as far as can be told. */
  #isLeft({ stem, modifiedMs, next, size }: Pack, before: number): boolean {
    const { appenders } = this.#deps
    // More than a batch that was cut short: a header has rotted, and what lies behind it may be mail. It is for a person to see.
    if (size - next > MAX_BATCH_BYTES) return false
    return appenders.isOwn(stem) ? appenders.safeEnd(stem) === undefined : modifiedMs <= before
  }

  /**
   * Removes those packs to which nothing has come that is needed.
   *
   * @param copied Graves of theirs that are in another pack too
   * @returns whether there was one
   */
  async #remove(folder: Folder, packs: readonly Pack[], copied: readonly Grave[]): Promise<boolean> {
    const { appenders, directories, disk } = this.#deps
    for (const { stem } of packs) {
      if (appenders.isOwn(stem)) continue
      await disk.link(join(folder.path, packName(stem)), join(folder.path, endName(stem))).catch((error: unknown) => {
        if (systemCode(error) !== 'EEXIST' && !isGone(error)) throw error
      })
    }
    const contents = await folder.look()
    const known = new Set(copied.map(({ stem, at }) => `${stem} ${at}`))
    const over = packs.filter(({ stem }) => {
      const pack = contents.packs.get(stem)
      if (pack === undefined || pack.live > 0) return false
      return neededGraves(pack, contents).every((grave) => known.has(`${grave.stem} ${grave.at}`))
    })
    if (over.length === 0) return false
    // What this look did not find is gone for good from here on. An earlier one may have missed a pack between its two names.
    await directories.flush(folder.path)
    for (const { stem } of over) {
      // In this order: see appender.ts.
      for (const name of [packName(stem), endName(stem)]) {
        await disk.unlink(join(folder.path, name)).catch((error: unknown) => {
          if (!isGone(error)) throw error
        })
      }
    }
    return true
  }

  /** The folders of mail, those within before those without. */
  async *#timeFolders(folder: string): AsyncGenerator<string> {
    const { disk, root } = this.#deps
    for (const entry of await entriesIn(disk, join(root, folder))) {
      const below = `${folder}${entry.name}/`
      if (entry.isDirectory() && (below === rootOf(true) || isTimeFolder(below))) yield* this.#timeFolders(below)
    }
    yield folder
  }
}

/** Graves that have to be kept, as what they bury is in another pack, and that is still there. */
function neededGraves(pack: Pack, { packs }: Contents): Grave[] {
  return [...pack.graves.values()].filter(({ stem }) => stem !== pack.stem && packs.has(stem))
}
