/** Buckets of S3 servers, as data that can be passed to another process. */
import { s3 } from '@postern/storage/s3'
import type { S3Server } from '../servers/server.ts'
import type { Ground } from '../../../../test/contracts/blobs/check.ts'
import type { Backend } from './outcomes.ts'
import { BOUNDED, LARGE } from '../../../../test/contracts/blobs/sizes.ts'

/** An unused bucket, and the name of its column. */
export interface Place {
  readonly backend: string
  readonly bucket: string
  readonly endpoint: string
  readonly region: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

export async function placeIn(server: S3Server, backend: string): Promise<Place> {
  const { endpoint, region, credentials } = server
  return { backend, bucket: await server.bucket(), endpoint, region, credentials }
}

const ELSEWHERE = 'miniflare is too slow for so many bytes, so only Node sends them'

/** Each of its stores has a prefix of its own. */
export function prefixed({ backend, ...place }: Place, ground: Ground): Backend {
  let made = 0
  const prefix = (): string => `${String(made++).padStart(4, '0')}/`
  return {
    backend,
    make: async () => s3({ ...place, prefix: prefix() }),
    ground: { ...ground, prefixBytes: 5 },
    gaps: backend === 's3 on R2' ? { [LARGE]: ELSEWHERE, [BOUNDED]: ELSEWHERE } : {},
  }
}
