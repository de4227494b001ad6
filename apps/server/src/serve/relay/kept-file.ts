/** A file beside the queue, with what a restart should not forget. No mail depends on it. */
import { open, readFile, rename, stat } from 'node:fs/promises'
import type { Logger } from '@logtape/logtape'
import { errorText } from '../../host/failure.ts'

/** What is saved. */
export interface Kept {
  /** Changes with what `kept` returns. */
  readonly changes: number
  /** Returns plain data. */
  kept(): unknown
}

/** The bounds of what is kept are lower. */
const MAX_BYTES = 64 * 1024 * 1024
const MODE = 0o600

/**
 * Reads the file. If it cannot be used, the log says so, and the server begins anew.
 * @param what What the file has, for the log
 * @param parse Returns undefined for a text that is not of this version
 */
export async function readKept<Value>(
  path: string,
  what: string,
  parse: (text: string) => Value | undefined,
  log: Logger,
): Promise<Value | undefined> {
  let reason = 'it is not a file of this version'
  try {
    if ((await stat(path)).size <= MAX_BYTES) {
      const value = parse(await readFile(path, 'utf8'))
      if (value !== undefined) return value
    }
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === 'ENOENT') return undefined
    reason = errorText(error)
  }
  log.warn(`${what} begin anew, because the file cannot be used`, { path, reason })
  return undefined
}

/** Writes the file when something has changed. */
export class KeptFile {
  readonly #path: string
  readonly #what: string
  readonly #kept: Kept
  readonly #log: Logger
  #savedChanges: number
  #saving: Promise<void> | undefined

  constructor(path: string, what: string, kept: Kept, log: Logger) {
    this.#path = path
    this.#what = what
    this.#kept = kept
    this.#log = log
    this.#savedChanges = kept.changes
  }

  /** Never rejects. A crash leaves the old file or the new one. */
  async save(): Promise<void> {
    this.#saving ??= this.#save().finally(() => {
      this.#saving = undefined
    })
    await this.#saving
  }

  async #save(): Promise<void> {
    const { changes } = this.#kept
    if (changes === this.#savedChanges) return
    const temporary = `${this.#path}.tmp`
    try {
      const file = await open(temporary, 'w', MODE)
      try {
        await file.writeFile(JSON.stringify(this.#kept.kept()))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, this.#path)
      this.#savedChanges = changes
    } catch (error) {
      this.#log.error(`${this.#what} could not be saved`, { path: this.#path, reason: errorText(error) })
    }
  }
}
