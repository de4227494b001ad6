/**
 * The Worker with a bucket that fails on demand.
 *
 *     POST /fault          sets `BucketFault`s, or none; answers how many calls met the previous ones
 *     GET  /keys, /blob?…  the content of the bucket, read without Postern's code
 */
import type { Bucket } from '@postern/storage/r2'
import { type BucketFault, FaultyBucket } from '../../../test/faults/faulty-bucket.ts'
import worker from '../src/worker.ts'

interface Env {
  readonly MAIL: R2Bucket
}

const faulty = new WeakMap<Env, { readonly bucket: FaultyBucket; readonly env: Env }>()

function faultyOf(env: Env): { readonly bucket: FaultyBucket; readonly env: Env } {
  let made = faulty.get(env)
  if (made === undefined) {
    const bucket = new FaultyBucket(env.MAIL as unknown as Bucket)
    made = { bucket, env: { ...env, MAIL: bucket as unknown as R2Bucket } }
    faulty.set(env, made)
  }
  return made
}

async function keysOf(bucket: R2Bucket): Promise<string[]> {
  const keys: string[] = []
  let cursor: string | undefined
  do {
    const page = await bucket.list(cursor === undefined ? {} : { cursor })
    keys.push(...page.objects.map(({ key }) => key))
    cursor = page.truncated ? page.cursor : undefined
  } while (cursor !== undefined)
  return keys
}

const told: ExportedHandler<Env> = {
  connect: (socket, env) => worker.connect(socket, faultyOf(env).env),
  async fetch(request, env) {
    const { pathname, search } = new URL(request.url)
    const { bucket } = faultyOf(env)
    switch (pathname) {
      case '/fault': {
        const { hits } = bucket
        bucket.set(await request.json<BucketFault[]>())
        return Response.json({ hits })
      }
      case '/keys':
        return Response.json(await keysOf(env.MAIL))
      default: {
        const object = await env.MAIL.get(decodeURIComponent(search.slice(1)))
        return new Response(object?.body ?? null, { status: object === null ? 404 : 200 })
      }
    }
  },
}

export default told
