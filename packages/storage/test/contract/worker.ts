/** Runs a part of the contract of stores in workerd, and answers a request with the outcomes. */
import { memory } from '@postern/storage/memory'
import { type Bucket, r2 } from '@postern/storage/r2'
import type { Outcome } from '../../../../test/contracts/outcome.ts'
import type { Ground } from '../../../../test/contracts/blobs/check.ts'
import { type Backend, type Chosen, type Part, storeOutcomes } from './outcomes.ts'
import { type Place, prefixed } from './s3.ts'
import { BOUNDED } from '../../../../test/contracts/blobs/sizes.ts'

const ground: Ground = { isBrief: true }
const gaps = { [BOUNDED]: 'workerd does not report how much memory it uses' }

interface Order {
  readonly part: Part
  readonly chosen: Chosen
  readonly places: readonly Place[]
  readonly isThorough: boolean
}

/** Unused buckets. */
type Env = Readonly<Record<string, Bucket>>

/** Counts until workerd ends, so that no bucket is used twice. */
let taken = 0

function bucketOf(env: Env): Bucket {
  const bucket = Object.values(env)[taken++]
  if (bucket === undefined) throw new Error(`all ${taken - 1} buckets are used`)
  return bucket
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { part, chosen, places, isThorough } = (await request.json()) as Order
    const backends: readonly Backend[] = [
      { backend: 'memory', make: async () => memory(), ground, gaps },
      { backend: 'r2', make: async () => r2(bucketOf(env)), ground: { isBrief: !isThorough }, gaps },
      ...places.map((place) => prefixed(place, ground)),
    ]
    const outcomes: Outcome[] = []
    for await (const outcome of storeOutcomes(part, backends, chosen)) outcomes.push(outcome)
    return Response.json(outcomes)
  },
}
