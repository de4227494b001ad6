/** The store on a Durable Object, which is the disk of self-hosted workerd, under the contract of blobs: the Durable Object in workerd, its BlobStore in this process. */
import type { BlobStore } from '@postern/storage'
import { build } from 'esbuild'
import { Miniflare } from 'miniflare'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectCode, pattern, storeContract } from '../../../packages/storage/test/blob-contract.ts'
import { keysIn, put } from '../../../packages/storage/test/blobs.ts'
import { PROXIED, SENT_BY_WORKER } from '../../../packages/storage/test/contract/buckets.ts'
import { BOUNDED, LARGE } from '../../../test/contracts/blobs/sizes.ts'
import type { Outcome } from '../../../test/contracts/outcome.ts'
import { settle, writeColumn } from '../../../packages/runtime/test/program.ts'
import { retentionContract } from '../../../packages/storage/test/retention-contract.ts'
import type { RemoteDisk } from '../src/disk/rpc.ts'
import { disk, type DiskOptions } from '../src/disk/store.ts'

const MiB = 1024 * 1024
let miniflare: Miniflare
let next = 0

beforeAll(async () => {
  const { outputFiles } = await build({
    stdin: {
      // Only the requests of the test touch the store here.
      contents: `import { DiskObject } from '../src/disk/object.ts';
        import { storeLarge } from './disk-large.ts';
        export class Disk extends DiskObject { alarm() {} };
        const reach = ({ DISK }) => DISK.get(DISK.idFromName('large'));
        export default { fetch: async (_, env) => Response.json(await storeLarge(() => reach(env))) }`,
      resolveDir: import.meta.dirname,
      loader: 'ts',
    },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'import'],
    external: ['cloudflare:*', 'node:*'],
  })
  const contents = outputFiles[0]?.text ?? ''
  miniflare = new Miniflare({
    workers: [
      {
        config: {
          name: 'disks',
          compatibilityDate: '2026-11-01',
          compatibilityFlags: ['nodejs_compat'],
          exports: { Disk: { type: 'durable-object', storage: 'sqlite' } },
          env: { DISK: { type: 'durable-object', exportName: 'Disk', worker: 'disks' } },
          manifest: { mainModule: 'worker.js', modulesRoot: '/', modules: { 'worker.js': { type: 'esm', contents } } },
        },
      },
    ],
  })
  await miniflare.ready
})
afterAll(() => miniflare?.dispose())

storeContract('blobs', {
  backend: 'disk of workerd',
  make: () => make(),
  ground: { isBrief: true },
  gaps: { [LARGE]: SENT_BY_WORKER, [BOUNDED]: PROXIED },
})
storeContract('mail', { backend: 'disk of workerd', make: () => make(), ground: { isBrief: true } })
test(`${LARGE}, from a Worker`, async (context) => {
  const answer = await miniflare.dispatchFetch('http://worker/')
  const outcome = (await answer.json()) as Outcome
  writeColumn('blobs', 'workerd', [outcome], outcome.subject)
  settle(context, outcome)
})
retentionContract('disk', () => make(), { runs: 6, tests: 2 })

test('a blob does not appear if its first chunks were swept', async () => {
  const store = await make()
  const writer = store.write('half')
  await writer.write(pattern(2 * MiB + 5))
  expect(await store.sweep?.(-60_000)).toBe(1)
  await expectCode('unavailable', () => writer.commit())
  expect(await keysIn(store)).toEqual([])
})

test('memory of unfinished blobs is bounded, and is freed however they end', async () => {
  const store = await make({ maxBufferedBytes: MiB })
  for (const end of ['commit', 'abort', 'fail'] as const) {
    const first = store.write(`a/${end}`, end === 'fail' ? { size: 1 } : {})
    await first.write(pattern(MiB / 2 + 1))
    const second = store.write('b')
    await expectCode('no-space', async () => second.write(pattern(MiB / 2)))
    await second.abort()
    if (end === 'fail') await expectCode('corrupt', () => first.commit())
    else await first[end]()
  }
  // The store holds no more than a chunk of a large blob.
  await put(store, 'c', pattern(3 * MiB + 1))
  expect(await keysIn(store)).toEqual(['a/commit', 'c'])
  expect(() => disk(() => undefined as never, { maxBufferedBytes: -1 })).toThrow(RangeError)
})

async function make(options: DiskOptions = {}): Promise<BlobStore> {
  const namespace = await miniflare.getDurableObjectNamespace('DISK')
  const stub = namespace.get(namespace.idFromName(`store ${next++}`))
  return disk(() => stub as unknown as RemoteDisk, options)
}
