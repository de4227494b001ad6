/** What is said between a BlobStore and the disk that it is on: data, as it goes over RPC. */

/** A row takes 2 MiB at most. */
export const CHUNK_BYTES: number = 1024 * 1024

/** A blob as the disk knows it. */
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

/** A disk, from afar. */
export interface RemoteDisk {
  /** Begins a blob that takes more than one chunk. */
  begin(): Promise<number>
  /** Adds the next chunk, of {@link CHUNK_BYTES} at most. */
  append(upload: number, part: number, bytes: Uint8Array): Promise<void>
  /** Makes a blob appear: what was appended, then `last`. False: the key is taken, and nothing of the blob stays. */
  commit(key: string, upload: number | undefined, part: number, last: Uint8Array, size: number): Promise<boolean>
  /** Removes what was appended and not committed. */
  abort(upload: number): Promise<void>
  find(key: string): Promise<DiskBlob | undefined>
  /** One chunk of a blob; undefined once it was deleted. */
  chunk(upload: number, part: number): Promise<ArrayBuffer | undefined>
  remove(key: string): Promise<void>
  /** A page of keys that begin with `prefix`, behind `cursor`. */
  list(prefix: string, cursor: string, rollUp: boolean, limit: number): Promise<DiskPage>
  /** Removes what was begun and not touched since `before`, in ms since 1970. Answers how many. */
  sweep(before: number): Promise<number>
}
