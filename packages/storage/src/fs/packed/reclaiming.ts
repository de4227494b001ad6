/**
 * Removes packs whose blobs are all deleted.
 *
 * A pack may be removed when all its blobs are deleted, and when each other pack that its graves name is durably
 * removed. "Durably" means that the directory was synced after the removal. Otherwise a power cut could bring back a
 * pack whose graves are lost. If two packs delete blobs of one another, or if several packs hold only graves, the
 * graves are copied to another pack first.
 *
 * Another process may still write to its pack. So the pack gets a second name, and is read once more: see appender.ts.
 */
import { join } from 'node:path'
import { isRootFolder, isTimeFolder } from '../../record/layout.ts'
import type { Directories } from '../../disk/directories.ts'
import { type Disk, entriesIn, isGone, systemCode } from '../../disk/disk.ts'
import { MAX_BATCH_BYTES } from './appender.ts'
import type { FolderAppenders } from './folder-appenders.ts'
import type { Contents, Grave, Pack } from './contents.ts'
import type { Folder, Folders } from './folder.ts'
import { endName, packName } from './pack-name.ts'

/** A pack that was written to more recently stays for now, because its writer will probably go on. */
const YOUNG_MS = 60_000
/** The greatest number of packs without blobs that may stay, because each look at their folder looks at each of them. */
const MAX_LEFT = 32
/** One removal may make others possible. There are at most this many rounds. The rest is left for the next time. */
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
  /** Folders that became empty while their packs were young, with the time of that. */
  readonly #young = new Map<string, number>()

  constructor(deps: ReclaimingDeps) {
    this.#deps = deps
  }

  /**
   * Called after a delete. Removes packs of the folder if the folder has no blob any more and a pack is not young, or
   * if many packs have no blob left. Does the same for folders that were too young earlier. Ignores failures, because
   * the delete itself is done and a sweep removes the packs later.
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

  /** Removes all packs without blobs. Removes packs of other stores only if they have not changed since `before`. */
  async sweep(before: number): Promise<void> {
    for await (const name of this.#timeFolders('')) await this.#reclaim(this.#deps.folders.get(name), before)
  }

  async #reclaim(folder: Folder, before: number): Promise<void> {
    if (this.#busy.has(folder.folder)) return
    this.#busy.add(folder.folder)
    try {
      for (let round = 0; round < MAX_ROUNDS && (await this.#round(folder, before)); round++);
    } catch (error) {
      // Another process removed the last pack, and the folder.
      if (!isGone(error)) throw error
    } finally {
      this.#busy.delete(folder.folder)
    }
  }

  /** Removes some packs. Returns whether there may be more. */
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

  /** Returns whether nobody writes to the pack, as far as this process can tell. */
  #isLeft({ stem, modifiedMs, next, size }: Pack, before: number): boolean {
    const { appenders } = this.#deps
    // Keeps a pack with more unread bytes than one torn batch has. Then a header was damaged, and the operator may find
    // mail behind it.
    if (size - next > MAX_BATCH_BYTES) return false
    return appenders.isOwn(stem) ? appenders.safeEnd(stem) === undefined : modifiedMs <= before
  }

  /**
   * Removes the packs to which nobody has added anything that is needed.
   * @param copied Graves of these packs that were copied to another pack
   * @returns whether it removed one
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
    // Makes all removals durable that happened before this look. An earlier look may have missed a pack between its two
    // names.
    await directories.flush(folder.path)
    for (const { stem } of over) {
      // The order of these removals matters: see appender.ts.
      for (const name of [packName(stem), endName(stem)]) {
        await disk.unlink(join(folder.path, name)).catch((error: unknown) => {
          if (!isGone(error)) throw error
        })
      }
    }
    return true
  }

  /** Yields the folders of mail, each after the folders in it. */
  async *#timeFolders(folder: string): AsyncGenerator<string> {
    const { disk, root } = this.#deps
    for (const entry of await entriesIn(disk, join(root, folder))) {
      const below = `${folder}${entry.name}/`
      if (entry.isDirectory() && (isRootFolder(below) || isTimeFolder(below))) yield* this.#timeFolders(below)
    }
    yield folder
  }
}

/** Returns the graves that are needed, because they delete blobs of another pack that still exists. */
function neededGraves(pack: Pack, { packs }: Contents): Grave[] {
  return [...pack.graves.values()].filter(({ stem }) => stem !== pack.stem && packs.has(stem))
}
