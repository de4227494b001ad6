import type { BlobReader } from './contract.ts'

/** Makes a reader of a blob whose bytes are in memory. The caller of the reader may keep the bytes. */
export function readerOf(bytes: Uint8Array): BlobReader {
  return { size: bytes.length, body: only(bytes), close: () => Promise.resolve() }
}

/** Yields all bytes in one chunk, or nothing if there are none. */
export async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes
}
