/** The backends of a machine, as Node, Deno and Bun have them. */
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import type { BlobStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { memory } from '@postern/storage/memory'
import { type Ground, MiB } from '../../../../test/contracts/blobs/check.ts'
import type { Backend } from './outcomes.ts'
import { BOUNDED } from '../../../../test/contracts/blobs/sizes.ts'

/** A generous limit, because a runtime may keep freed memory for a while. A store that holds 100 MiB exceeds it. */
export const MEMORY: NonNullable<Ground['memory']> = {
  residentBytes: () => process.memoryUsage().rss,
  maxGrowthBytes: 96 * MiB,
}

/** The same store. Tells it of every key that no other writer makes it, so that small blobs go into packs. */
export function unique(store: BlobStore): BlobStore {
  return {
    write: (key, options) => store.write(key, { ...options, hasUniqueKey: true }),
    read: (key) => store.read(key),
    head: (key) => store.head(key),
    list: (options) => store.list(options),
    delete: (key) => store.delete(key),
    commitBoth: (first, second) => store.commitBoth?.(first, second),
    sweep: async (olderThanMs) => (await store.sweep?.(olderThanMs)) ?? 0,
  }
}

/**
 * @param directory Where files may go.
 * @param ground Other facts about this runtime.
 */
export function machineBackends(directory: string, ground: Ground = {}): Backend[] {
  return [
    {
      backend: 'fs',
      make: async () => fs(await mkdtemp(join(directory, 'store-'))),
      ground: { ...ground, memory: MEMORY, causes: { 'not-found': /ENOENT/, exists: /EEXIST/ } },
    },
    {
      backend: 'fs packed',
      make: async () => unique(fs(await mkdtemp(join(directory, 'store-')), { layout: 'packed' })),
      ground,
      gaps: { [BOUNDED]: 'it stores large blobs as files, as fs does' },
    },
    {
      backend: 'memory',
      make: async () => memory(),
      ground,
      gaps: { [BOUNDED]: 'it keeps blobs in memory' },
    },
  ]
}
