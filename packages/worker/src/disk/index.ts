/** @postern/worker/disk: a store in a Durable Object. `DiskObject` is the object, and `disk` makes the BlobStore that calls it. */
export { DiskObject } from './object.ts'
export type { DiskBlob, DiskPage, RemoteDisk } from './rpc.ts'
export { CHUNK_BYTES } from './rpc.ts'
export type { DiskOptions, Reach } from './store.ts'
export { disk } from './store.ts'
