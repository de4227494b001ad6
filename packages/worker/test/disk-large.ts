/** The check of the contract of blobs that sends 100 MiB to the Durable Object. A Worker runs it. */
import type { Outcome } from '../../../test/contracts/outcome.ts'
import type { Check } from '../../../test/contracts/blobs/check.ts'
import { LARGE } from '../../../test/contracts/blobs/sizes.ts'
import { CHECKS, outcomeOf } from '../../../packages/storage/test/contract/outcomes.ts'
import { disk, type Reach } from '../src/disk/store.ts'

export function storeLarge(reach: Reach): Promise<Outcome> {
  const check = CHECKS.blobs.find(({ name }) => name === LARGE) as Check
  return outcomeOf({ backend: 'disk of workerd', make: async () => disk(reach) }, check)
}
