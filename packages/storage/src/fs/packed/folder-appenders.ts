/** Writes to packs, one for each folder that a store writes to. Decides which of two blobs gets a name. */
import { randomBytes } from 'node:crypto'
import type { FileStoreDeps } from '../files/writer.ts'
import { Appender, type AppenderDeps } from './appender.ts'
import type { PackedBlob } from './contents.ts'
import { graveOf, KIND } from './entry.ts'
import type { Folder } from './folder.ts'

/** The greatest number of packs that stay open while nobody writes to them. */
const MAX_IDLE = 4
/** The greatest number of names that are remembered as taken for a folder. Callers promise that their keys are unique. */
const MAX_TAKEN = 65_536

/** A blob that is to be added. */
export interface NewBlob {
  readonly name: string
  readonly body: Uint8Array
}

interface FolderState {
  readonly appender: Appender
  /** The number of callers that are about to write. */
  users: number
  /** Names that are or were taken, each with its commit while the commit runs. The oldest are forgotten first. */
  readonly taken: Taken
  /** Resolves when all earlier names are in `taken`. */
  isReady: Promise<void> | undefined
}

export class FolderAppenders {
  readonly #deps: AppenderDeps
  readonly #now: () => number
  readonly #states = new Map<string, FolderState>()
  readonly #stem = `${process.pid}-${randomBytes(8).toString('hex')}`
  #count = 0

  constructor({ disk, directories }: FileStoreDeps, now: () => number) {
    this.#deps = { disk, directories, newStem: () => `${this.#stem}-${this.#count++}` }
    this.#now = now
  }

  /** Returns whether this store began the pack. */
  isOwn(stem: string): boolean {
    return stem.startsWith(`${this.#stem}-`)
  }

  /** Returns how many bytes of an open pack are safe; undefined for every other pack. */
  safeEnd(stem: string): number | undefined {
    if (!this.isOwn(stem)) return undefined
    for (const { appender } of this.#states.values()) {
      const end = appender.safeEnd(stem)
      if (end !== undefined) return end
    }
    return undefined
  }

  /**
   * Adds blobs. When the promise resolves, they are safe. A blob exists only if all blobs before it exist.
   *
   * @param check Throws if the folder has a blob of this name
   */
  async add(folder: Folder, blobs: readonly NewBlob[], check: (name: string) => Promise<void>): Promise<void> {
    const state = this.#state(folder)
    state.users++
    try {
      await (state.isReady ??= this.#remember(folder, state))
      for (let taken = takenOf(state, blobs); taken !== undefined; taken = takenOf(state, blobs)) {
        // Waits for the running commit. Only after it is it known if there is a blob.
        const underWay = state.taken.get(taken)
        await underWay?.catch(() => undefined)
        await check(taken)
        // Another caller may have taken the name meanwhile.
        if (state.taken.get(taken) === underWay) state.taken.delete(taken)
      }
      await this.#put(state, blobs)
    } finally {
      state.users--
    }
  }

  /** Takes a name for a file. The caller says that the name is unique. Calls `check` if it may still be taken. */
  async claim(folder: Folder, name: string, check: () => Promise<void>): Promise<void> {
    const state = this.#state(folder)
    state.users++
    try {
      await (state.isReady ??= this.#remember(folder, state))
      if (state.taken.has(name)) {
        await state.taken.get(name)?.catch(() => undefined)
        await check()
      }
      note(state.taken, name)
    } finally {
      state.users--
    }
  }

  /** Remembers a name that is taken by a file. */
  note(folder: Folder, name: string): void {
    const taken = this.#states.get(folder.folder)?.taken
    if (taken !== undefined) note(taken, name)
  }

  /** Adds a grave for a blob, which deletes it. */
  async bury(folder: Folder, { pack, entry }: PackedBlob): Promise<void> {
    await this.buryAt(folder, entry.name, pack.stem, entry.at)
  }

  async buryAt(folder: Folder, name: string, stem: string, at: number): Promise<void> {
    const draft = { kind: KIND.grave, name, body: graveOf(stem, at), time: this.#now() }
    await this.#state(folder).appender.append(draft)
  }

  /** Closes the pack of a folder if nobody is writing to it. */
  async close(folder: string): Promise<void> {
    const state = this.#states.get(folder)
    if (state === undefined || state.users > 0 || state.appender.isBusy) return
    this.#states.delete(folder)
    await state.appender.close()
  }

  async #put({ appender, taken }: FolderState, blobs: readonly NewBlob[]): Promise<void> {
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

  /** Remembers the names that are taken in a folder. After a failure the next caller tries again. */
  async #remember(folder: Folder, state: FolderState): Promise<void> {
    try {
      const contents = await folder.look()
      // As long as the store is lost, the look finds an empty folder.
      await this.#deps.directories.check()
      for (const names of [contents.others, contents.names()]) for (const name of names) note(state.taken, name)
    } catch (error) {
      state.isReady = undefined
      throw error
    }
  }

  #state(folder: Folder): FolderState {
    const known = this.#states.get(folder.folder)
    if (known !== undefined) {
      this.#states.delete(folder.folder)
      this.#states.set(folder.folder, known)
      return known
    }
    const appender = new Appender(this.#deps, folder.path, () => this.#trim())
    const state: FolderState = { appender, users: 0, taken: new Map(), isReady: undefined }
    this.#states.set(folder.folder, state)
    this.#trim()
    return state
  }

  /** Closes the packs that were not written to for the longest time. */
  #trim(): void {
    const idle = [...this.#states].filter(([, { appender, users }]) => users === 0 && !appender.isBusy)
    for (const [folder] of idle.slice(0, -MAX_IDLE)) void this.close(folder)
  }
}

function takenOf({ taken }: FolderState, blobs: readonly NewBlob[]): string | undefined {
  return blobs.find(({ name }) => taken.has(name))?.name
}

type Taken = Map<string, Promise<void> | undefined>

function note(taken: Taken, name: string, underWay?: Promise<void>): void {
  // Deletes many at once, because a Map goes past all deleted entries to find its oldest.
  if (taken.size >= MAX_TAKEN && !taken.has(name)) {
    let left = MAX_TAKEN / 2
    for (const oldest of taken.keys()) {
      if (left-- === 0) break
      taken.delete(oldest)
    }
  }
  taken.set(name, underWay)
}
