/** Writing to packs: one of its own for each folder that a store writes to, and who may have a name. */
import { randomBytes } from 'node:crypto'
import type { Workshop } from '../files/writer.ts'
import { Appender, type Press } from './appender.ts'
import type { PackedBlob } from './contents.ts'
import { graveOf, KIND } from './entry.ts'
import type { Folder } from './folder.ts'

/** Packs that are kept open while nobody writes to them. */
const MAX_IDLE = 4
/** Names that a folder's writer remembers as taken. Whoever writes to packs says that nobody else makes the same. */
const MAX_TAKEN = 65_536

/** What is to be added. */
export interface NewBlob {
  readonly name: string
  readonly body: Uint8Array
}

interface Desk {
  readonly appender: Appender
  /** How many are about to write. */
  users: number
  /** Names that are taken, or were: the oldest are forgotten first. With each the commit that is under way. */
  readonly taken: Taken
  /** Until what was there before is noted in it. */
  isReady: Promise<void> | undefined
}

export class FolderAppenders {
  readonly #press: Press
  readonly #now: () => number
  readonly #desks = new Map<string, Desk>()
  readonly #stem = `${process.pid}-${randomBytes(8).toString('hex')}`
  #count = 0

  constructor({ disk, directories }: Workshop, now: () => number) {
    this.#press = { disk, directories, newStem: () => `${this.#stem}-${this.#count++}` }
    this.#now = now
  }

  /** Whether the pack was begun by this store. */
  isOwn(stem: string): boolean {
    return stem.startsWith(`${this.#stem}-`)
  }

  /** Of a pack that is open, how much of it is safe. */
  safeEnd(stem: string): number | undefined {
    if (!this.isOwn(stem)) return undefined
    for (const { appender } of this.#desks.values()) {
      const end = appender.safeEnd(stem)
      if (end !== undefined) return end
    }
    return undefined
  }

  /**
   * Adds blobs. When the promise resolves, they are safe. None is there without those before it.
   *
   * @param check Throws where the folder has a blob of this name
   */
  async add(folder: Folder, blobs: readonly NewBlob[], check: (name: string) => Promise<void>): Promise<void> {
    const desk = this.#desk(folder)
    desk.users++
    try {
      await (desk.isReady ??= this.#remember(folder, desk))
      for (let taken = takenOf(desk, blobs); taken !== undefined; taken = takenOf(desk, blobs)) {
        // Whether it came to a blob is known when that is over.
        const underWay = desk.taken.get(taken)
        await underWay?.catch(() => undefined)
        await check(taken)
        // Another may have been quicker to take it.
        if (desk.taken.get(taken) === underWay) desk.taken.delete(taken)
      }
      await this.#put(desk, blobs)
    } finally {
      desk.users--
    }
  }

  /** Before a file gets a name that nobody else makes: calls `check` where it may be taken all the same. */
  async claim(folder: Folder, name: string, check: () => Promise<void>): Promise<void> {
    const desk = this.#desk(folder)
    desk.users++
    try {
      await (desk.isReady ??= this.#remember(folder, desk))
      if (desk.taken.has(name)) {
        await desk.taken.get(name)?.catch(() => undefined)
        await check()
      }
      note(desk.taken, name)
    } finally {
      desk.users--
    }
  }

  /** Notes a name that is taken by what is no part of a pack. */
  note(folder: Folder, name: string): void {
    const taken = this.#desks.get(folder.folder)?.taken
    if (taken !== undefined) note(taken, name)
  }

  /** Buries a blob. */
  async bury(folder: Folder, { pack, entry }: PackedBlob): Promise<void> {
    await this.buryAt(folder, entry.name, pack.stem, entry.at)
  }

  async buryAt(folder: Folder, name: string, stem: string, at: number): Promise<void> {
    const draft = { kind: KIND.grave, name, body: graveOf(stem, at), time: this.#now() }
    await this.#desk(folder).appender.append(draft)
  }

  /** Closes the pack of a folder, where nobody is writing to it. */
  async close(folder: string): Promise<void> {
    const desk = this.#desks.get(folder)
    if (desk === undefined || desk.users > 0 || desk.appender.isBusy) return
    this.#desks.delete(folder)
    await desk.appender.close()
  }

  async #put({ appender, taken }: Desk, blobs: readonly NewBlob[]): Promise<void> {
    const time = this.#now()
    const added = appender.append(...blobs.map(({ name, body }) => ({ kind: KIND.blob, name, body, time })))
    for (const { name } of blobs) note(taken, name, added)
    try {
      await added
      for (const { name } of blobs) note(taken, name)
    } catch (error) {
      for (const { name } of blobs) taken.delete(name)
      throw error
    }
  }

  /** Notes the names that are taken in a folder. After a failure the next one tries again. */
  async #remember(folder: Folder, desk: Desk): Promise<void> {
    try {
      const contents = await folder.look()
      // While the store is lost, nothing is found.
      await this.#press.directories.check()
      for (const names of [contents.others, contents.names()]) for (const name of names) note(desk.taken, name)
    } catch (error) {
      desk.isReady = undefined
      throw error
    }
  }

  #desk(folder: Folder): Desk {
    const known = this.#desks.get(folder.folder)
    if (known !== undefined) {
      this.#desks.delete(folder.folder)
      this.#desks.set(folder.folder, known)
      return known
    }
    const appender = new Appender(this.#press, folder.path, () => this.#trim())
    const desk: Desk = { appender, users: 0, taken: new Map(), isReady: undefined }
    this.#desks.set(folder.folder, desk)
    this.#trim()
    return desk
  }

  /** Closes the packs that nobody has written to for longest. */
  #trim(): void {
    const idle = [...this.#desks].filter(([, { appender, users }]) => users === 0 && !appender.isBusy)
    for (const [folder] of idle.slice(0, -MAX_IDLE)) void this.close(folder)
  }
}

function takenOf({ taken }: Desk, blobs: readonly NewBlob[]): string | undefined {
  return blobs.find(({ name }) => taken.has(name))?.name
}

type Taken = Map<string, Promise<void> | undefined>

function note(taken: Taken, name: string, underWay?: Promise<void>): void {
  // Many at one time: to find the oldest, a map walks past all that were deleted before it.
  if (taken.size >= MAX_TAKEN && !taken.has(name)) {
    let left = MAX_TAKEN / 2
    for (const oldest of taken.keys()) {
      if (left-- === 0) break
      taken.delete(oldest)
    }
  }
  taken.set(name, underWay)
}
