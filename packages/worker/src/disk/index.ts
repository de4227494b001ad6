/** @postern/worker/disk: a BlobStore in a Durable Object. */
export type { DiskBlob, DiskPage, RemoteDisk } from './rpc.ts'
export { CHUNK_BYTES } from './rpc.ts'
export type { DiskOptions, Reach } from './store.ts'
export { disk } from './store.ts'
