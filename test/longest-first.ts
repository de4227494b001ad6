/**
 * The order of the test files: the long ones first, so that none of them runs alone at the end.
 *
 * vitest sorts by the size of a file if it has not measured the file before, as in a fresh clone. But the longest tests are in short
 * files, because their checks are in `test/contracts`.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that took more than 7 seconds on two cores, the longest first. */
const LONG: readonly string[] = [
  'apps/server/test/guessing.test.ts',
  'packages/storage/test/r2.test.ts',
  'test/faults/r2.test.ts',
  'apps/server/test/renewal.test.ts',
  'test/faults/memory.test.ts',
  'apps/server/test/watch.test.ts',
  'packages/runtime/test/duplex.test.ts',
  'packages/runtime/test/contract-workerd.test.ts',
  'apps/server/test/front-contract.test.ts',
  'test/bench/attacks/attacks.test.ts',
  'test/faults/s3.test.ts',
  'apps/server/test/accounts.test.ts',
  'packages/worker/test/disk.test.ts',
  'test/contract/node.test.ts',
  'apps/server/test/refused.test.ts',
  'packages/storage/test/s3-contract-swift.test.ts',
  'test/peers/logins.test.ts',
  'test/contract/bun.test.ts',
  'apps/cloudflare/test/workerd.test.ts',
  'packages/storage/test/maildir.test.ts',
  'test/contract/wrangler.test.ts',
  'test/installed/installed.test.ts',
  'apps/server/test/front.test.ts',
  'test/embedding/message-port.test.ts',
  'apps/server/test/errors.test.ts',
  'packages/storage/test/contract.test.ts',
  'packages/storage/test/s3-objects.test.ts',
  'test/faults/departure.test.ts',
  'apps/cloudflare/test/wrangler.test.ts',
  'test/faults/disk.test.ts',
  'apps/server/test/maildir-recipients.test.ts',
  'test/peers/announcement.test.ts',
  'test/peers/python.test.ts',
  'test/release/release.test.ts',
  'test/faults/kill-maildir.test.ts',
  'test/peers/haproxy.test.ts',
  'apps/server/test/config-file.test.ts',
  'test/installed/worker.test.ts',
  'test/check/patterns/patterns.test.ts',
  'packages/storage/test/blob.test.ts',
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
