/** Writes one blob into a pack, or into a file if the blob is large. */
import { BaseWriter } from '../../blob/base-writer.ts'
import type { BlobWriter } from '../../blob/contract.ts'
import type { StorageError } from '../../blob/error.ts'
import { HeldBytes } from '../../blob/held-bytes.ts'
import { diskError } from '../../disk/disk.ts'
import type { NewBlob } from './folder-appenders.ts'

/** A larger blob becomes a file. */
export const MAX_PACKED_BYTES: number = 64 * 1024
const FIRST_BUFFER_BYTES = 4 * 1024

/** The pack or file that a writer puts its blob into. */
export interface Destination {
  /** '' or ending in `/`. */
  readonly folder: string
  readonly name: string
  /** Adds blobs of the folder to a pack, in this order. */
  pack(blobs: readonly NewBlob[]): Promise<void>
  /** Begins a file. */
  file(): BlobWriter
}

export class PackedWriter extends BaseWriter {
  readonly #destination: Destination
  readonly #held: HeldBytes
  #file: BlobWriter | undefined
  /** A blob that is committed with it. */
  #second: NewBlob | undefined

  constructor(destination: Destination, key: string, announced: number | undefined) {
    super(key, announced)
    this.#destination = destination
    this.#held = new HeldBytes({
      maxBytes: MAX_PACKED_BYTES,
      firstBytes: FIRST_BUFFER_BYTES,
      expectedBytes: announced === undefined || announced > MAX_PACKED_BYTES ? undefined : announced,
    })
  }

  protected override take(bytes: Uint8Array): void | Promise<void> {
    if (this.#file !== undefined) return this.#file.write(bytes)
    if (bytes.length <= this.#held.room) return this.#held.add(bytes)
    return this.#spill(bytes)
  }

  /** Commits a second blob of that folder with it. Returns undefined if that is not possible. Then it has done nothing. */
  commitWith(folder: string, second: NewBlob): Promise<void> | undefined {
    if (this.#file !== undefined || second.body.length > MAX_PACKED_BYTES) return undefined
    if (this.#destination.folder !== folder) return undefined
    this.#second = second
    return this.commit()
  }

  protected override finish(): Promise<void> {
    if (this.#file !== undefined) return this.#file.commit()
    const first = { name: this.#destination.name, body: this.#held.view }
    return this.#destination.pack(this.#second === undefined ? [first] : [first, this.#second])
  }

  protected override drop(): void | Promise<void> {
    this.#held.forget()
    return this.#file?.abort()
  }

  protected override failure(error: unknown): StorageError {
    return diskError(error, `can't write ${this.name}`)
  }

  async #spill(bytes: Uint8Array): Promise<void> {
    const file = this.#destination.file()
    this.#file = file
    await file.write(this.#held.view)
    this.#held.forget()
    await file.write(bytes)
  }
}
