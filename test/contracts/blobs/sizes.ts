/** Blobs of every size are read back unchanged. */
import { createHash } from 'node:crypto'
import type { BlobStore, WriteOptions } from '@postern/storage'
import { type Check, type Ground, type MakeStore, MiB, PART_BYTES } from './check.ts'
import { ensure, equal, expectCode, hasKeys, holds, keysIn, pattern, put } from './exchange.ts'

/** The size of the chunks in which mail arrives. */
const CHUNK_BYTES = 128 * 1024
/** The names of the slow checks, and of the one that measures memory. */
export const LARGE = 'a blob of 100 MiB of unknown length is stored'
export const BOUNDED = 'a blob of 100 MiB of unknown length needs bounded memory'
const LARGE_BYTES = 100 * MiB

async function comesBack(make: MakeStore, sizes: readonly number[]): Promise<void> {
  const store = await make()
  for (const size of sizes) await put(store, `a/${size}`, pattern(size))
  for (const size of sizes) await holds(store, `a/${size}`, pattern(size))
}

async function writePieces(store: BlobStore, key: string, bytes: Uint8Array, options?: WriteOptions): Promise<void> {
  const writer = store.write(key, options)
  for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 3) % 700_001) {
    await writer.write(bytes.subarray(at, at + step))
  }
  await writer.commit()
}

/** The growth of memory while 100 MiB went through a store, if the runtime can tell. It is slow, so it is measured once. */
const growths = new WeakMap<MakeStore, Promise<number>>()

function growthOf(make: MakeStore, ground: Ground | undefined): Promise<number> {
  const known = growths.get(make) ?? largeComesBack(make, ground)
  growths.set(make, known)
  return known
}

/** Writes and reads 100 MiB in pieces, and compares the digest. @returns the growth of memory */
async function largeComesBack(make: MakeStore, { memory }: Ground = {}): Promise<number> {
  const residentBytes = memory?.residentBytes ?? (() => 0)
  const before = residentBytes()
  let peak = before
  const look = (): void => void (peak = Math.max(peak, residentBytes()))
  const store = await make()
  const chunk = pattern(CHUNK_BYTES)
  const written = createHash('sha256')
  const writer = store.write('large')
  for (let sent = 0; sent < LARGE_BYTES; sent += CHUNK_BYTES) {
    chunk[0] = (sent / CHUNK_BYTES) & 0xff
    written.update(chunk)
    await writer.write(chunk)
    look()
  }
  await writer.commit()
  const read = createHash('sha256')
  const { body, size } = await store.read('large')
  equal(size, LARGE_BYTES, 'the size that its reader tells')
  for await (const piece of body) {
    read.update(piece)
    look()
  }
  equal(read.digest('hex'), written.digest('hex'), 'SHA-256')
  await store.delete('large')
  await hasKeys(store, [], 'keys once it was deleted')
  return peak - before
}

/** Checks that a blob with another size than announced is corrupt, and leaves nothing. */
async function isCorrupt(make: MakeStore, announced: number, size: number): Promise<void> {
  const store = await make()
  const writer = store.write('a', { size: announced })
  const what = `${size} bytes, ${announced} announced`
  await expectCode(
    'corrupt',
    async () => {
      await writer.write(pattern(size))
      await writer.commit()
    },
    what,
  )
  await writer.abort()
  equal(await store.head('a'), undefined, `head after ${what}`)
  equal(await keysIn(store), [], `keys after ${what}`)
  await put(store, 'a', 'the next one')
  await holds(store, 'a', 'the next one')
}

export const sizes: readonly Check[] = [
  // Runs before other checks enlarge the process.
  {
    name: LARGE,
    async run(make, ground) {
      await growthOf(make, ground)
    },
  },
  {
    name: BOUNDED,
    async run(make, ground) {
      const most = ground?.memory?.maxGrowthBytes
      ensure(most !== undefined, 'nobody told how memory is measured here')
      const grown = await growthOf(make, ground)
      ensure(grown < most, `expected less than ${most} bytes more in memory, got ${grown}`)
    },
  },
  { name: 'a blob of 0 bytes is read back', run: (make) => comesBack(make, [0]) },
  { name: 'a blob of 1 byte is read back', run: (make) => comesBack(make, [1]) },
  {
    name: 'blobs are read back if their sizes are close to those of buffers',
    isEssential: true,
    run: (make) => comesBack(make, [4095, 4096, 4097, 65_535, 65_536, 65_537, 200_000]),
  },
  { name: 'a blob of exactly one part (5 MiB) is read back', run: (make) => comesBack(make, [PART_BYTES]) },
  { name: 'a blob of one part and one byte is read back', run: (make) => comesBack(make, [PART_BYTES + 1]) },
  {
    name: 'a blob is read back if it is written in pieces of many sizes, over several parts',
    async run(make) {
      const store = await make()
      const bytes = pattern(2 * PART_BYTES + 300_000)
      await writePieces(store, 'pieces', bytes)
      await holds(store, 'pieces', bytes)
    },
  },
  {
    name: 'a blob with an announced size is read back if it is written in pieces',
    async run(make) {
      const store = await make()
      for (const size of [0, 300_000, PART_BYTES + 1]) {
        await writePieces(store, `${size}`, pattern(size), { size, contentType: 'message/rfc822' })
        await holds(store, `${size}`, pattern(size))
      }
    },
  },
  {
    name: 'a blob with fewer bytes than announced is corrupt',
    async run(make) {
      await isCorrupt(make, 10, 9)
      await isCorrupt(make, PART_BYTES + 2, PART_BYTES + 1)
    },
  },
  {
    name: 'a blob with more bytes than announced is corrupt',
    async run(make) {
      await isCorrupt(make, 10, 11)
      await isCorrupt(make, PART_BYTES, PART_BYTES + 1)
    },
  },
  {
    name: 'write copies the bytes that it keeps before it is done',
    async run(make) {
      const store = await make()
      const shared = new Uint8Array(PART_BYTES)
      const writer = store.write('reused')
      const lengths = [30_000, 60_000, 90_000, PART_BYTES, 1]
      const expected = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0))
      let at = 0
      for (const [index, length] of lengths.entries()) {
        shared.fill(index + 1)
        expected.fill(index + 1, at, (at += length))
        await writer.write(shared.subarray(0, length))
        shared.fill(0xee)
      }
      await writer.commit()
      await holds(store, 'reused', expected)
    },
  },
]
