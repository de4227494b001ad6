/** One blob on its way into a pack; or into a file of its own, once it turns out to be large. */
import { BaseWriter } from '../../base-writer.ts'
import type { BlobWriter } from '../../blob.ts'
import type { StorageError } from '../../error.ts'
import { HeldBytes } from '../../held-bytes.ts'
import { diskError } from '../disk.ts'
import type { NewBlob } from './appenders.ts'

/** Blobs of more bytes are files. */
export const MAX_PACKED_BYTES: number = 64 * 1024
const FIRST_BUFFER_BYTES = 4 * 1024

/** Where a blob may go. */
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
  /** The one that is committed with it, and the commit that it is a part of. */
  #second: PackedWriter | undefined
  #first: Promise<void> | undefined

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

  /** Commits both at once; undefined where they can't be, and then nothing was done. */
  commitWith(second: PackedWriter): Promise<void> | undefined {
    if (this.#file !== undefined || second.#file !== undefined) return undefined
    if (this.#destination.folder !== second.#destination.folder) return undefined
    this.#second = second
    const first = this.commit()
    first.catch(() => undefined)
    second.#first = first
    return second.commit()
  }

  protected override finish(): Promise<void> {
    if (this.#first !== undefined) return this.#first
    if (this.#file !== undefined) return this.#file.commit()
    return this.#destination.pack(this.#second === undefined ? [this.#blob] : [this.#blob, this.#second.#blob])
  }

  protected override async drop(): Promise<void> {
    this.#held.forget()
    await this.#file?.abort()
  }

  protected override failure(error: unknown): StorageError {
    return diskError(error, `can't write ${this.name}`)
  }

  get #blob(): NewBlob {
    return { name: this.#destination.name, body: this.#held.view }
  }

  async #spill(bytes: Uint8Array): Promise<void> {
    const file = this.#destination.file()
    this.#file = file
    await file.write(this.#held.view)
    this.#held.forget()
    await file.write(bytes)
  }
}
