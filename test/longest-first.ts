/**
 * The order of the test files: the long ones first, so that none of them runs alone at the end.
 *
 * vitest sorts by the size of a file if it has not measured the file before, as in a fresh clone. But the longest tests are in short
 * files, because their checks are in `test/contracts`.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that took more than 22 seconds on two cores, seven at the same time, the longest first. */
const LONG: readonly string[] = [
  'test/installed/installed.test.ts',
  'apps/server/test/image.test.ts',
  'apps/server/test/queue.test.ts',
  'packages/storage/test/mail-store.test.ts',
  'packages/storage/test/r2.test.ts',
  'test/installed/worker.test.ts',
  'packages/storage/test/blob.test.ts',
  'packages/storage/test/packed-power-cut.test.ts',
  'packages/storage/test/s3-objects.test.ts',
  'apps/server/test/rules.test.ts',
  'apps/server/test/relay.test.ts',
  'apps/server/test/front.test.ts',
  'packages/storage/test/packed.test.ts',
  'packages/storage/test/contract.test.ts',
  'packages/runtime/test/client-contract.test.ts',
  'test/contract/wrangler.test.ts',
  'packages/runtime/test/contract-workerd.test.ts',
  'packages/storage/test/maildir.test.ts',
  'test/contract/node.test.ts',
  'test/faults/kill-maildir.test.ts',
  'packages/runtime/test/duplex.test.ts',
  'test/conformance/hooks.test.ts',
  'apps/server/test/accounts.test.ts',
  'test/faults/s3-memory.test.ts',
  'test/peers/logins.test.ts',
  'test/faults/r2.test.ts',
  'test/peers/announcement.test.ts',
  'apps/cloudflare/test/wrangler.test.ts',
  'test/contract/deno.test.ts',
  'apps/server/test/renewal.test.ts',
  'test/faults/s3.test.ts',
  'test/faults/memory.test.ts',
  'test/contract/engine.test.ts',
  'packages/relay/test/remote/remote.test.ts',
  'packages/storage/test/s3-contract-swift.test.ts',
  'test/peers/receivers.test.ts',
  'test/installed/entries.test.ts',
  'test/contract/engine-workerd.test.ts',
  'packages/storage/test/disk-faults.test.ts',
  'test/faults/kill.test.ts',
  'apps/server/test/deno.test.ts',
  'apps/server/test/send.test.ts',
  'packages/worker/test/disk.test.ts',
  'test/peers/onward.test.ts',
]

function placeOf({ moduleId }: TestSpecification): number {
  const place = LONG.findIndex((path) => moduleId.endsWith(`/${path}`))
  return place === -1 ? LONG.length : place
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // oxlint-disable-next-line unicorn/no-array-sort -- `sort` of a sequencer sorts no array.
    const bySize = await super.sort(files)
    return bySize.toSorted((a, b) => placeOf(a) - placeOf(b))
  }
}
