/** The RPC interface between a BlobStore and its DiskObject. */

/** A row of SQLite may have up to 2 MiB. */
export const CHUNK_BYTES: number = 1024 * 1024

/** A blob of the disk. */
export interface DiskBlob {
  readonly upload: number
  readonly size: number
  /** In ms since 1970. */
  readonly modifiedAt: number
}

export interface DiskPage {
  readonly keys: string[]
  /** In bytes, one for each key. */
  readonly sizes: number[]
  readonly prefixes: string[]
  readonly more: boolean
}

/** The methods of a DiskObject over RPC. */
export interface RemoteDisk {
  /** Begins a blob of more than one chunk. Returns the number of the upload. */
  begin(): Promise<number>
  /** Adds the next chunk, of at most {@link CHUNK_BYTES}. */
  append(upload: number, part: number, bytes: Uint8Array): Promise<void>
  /**
   * Commits a blob: the appended chunks, then `last`. Returns false if the key already exists. Then nothing of the blob
   * is kept.
   */
  commit(key: string, upload: number | undefined, part: number, last: Uint8Array, size: number): Promise<boolean>
  /** Removes the chunks of an upload that is not committed. */
  abort(upload: number): Promise<void>
  find(key: string): Promise<DiskBlob | undefined>
  /** Returns one chunk of a blob, or undefined if the blob was deleted. */
  chunk(upload: number, part: number): Promise<ArrayBuffer | undefined>
  remove(key: string): Promise<void>
  /** Returns a page of the keys after `cursor` that begin with `prefix`. */
  list(prefix: string, cursor: string, rollUp: boolean, limit: number): Promise<DiskPage>
  /** Removes uploads that have not changed since `before`, in ms since 1970. Returns how many. */
  sweep(before: number): Promise<number>
}
