/** Buckets of S3 servers, as data that can be told to another process. */
import { s3 } from '@postern/storage/s3'
import type { S3Server } from '../servers/server.ts'
import type { Ground } from './check.ts'
import type { Backend } from './outcomes.ts'
import { BOUNDED, LARGE } from './sizes.ts'

/** A bucket that nobody has used, and what its column is called. */
export interface Place {
  readonly backend: string
  readonly bucket: string
  readonly endpoint: string
  readonly region: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

/** What can not hold on a server, by its column. */
export const S3_GAPS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  's3 on swift': {
    'two writers of one key: one wins, the other hears `exists`':
      'Swift looks whether a name is free and then takes it: of two within that moment, both are told that they have it',
    'read of what is being deleted: the whole blob or `not-found`':
      'Swift removes the parts of an object that is being read: the reader hears `unavailable`',
  },
}

export async function placeIn(server: S3Server, backend: string): Promise<Place> {
  const { endpoint, region, credentials } = server
  return { backend, bucket: await server.bucket(), endpoint, region, credentials }
}

const ELSEWHERE = 'miniflare is slow with so much: Node sends it there, Deno and Bun to Swift'

/** Each of its stores has a prefix of its own. */
export function prefixed({ backend, ...place }: Place, ground: Ground): Backend {
  let made = 0
  const prefix = (): string => `${String(made++).padStart(4, '0')}/`
  return {
    backend,
    make: async () => s3({ ...place, prefix: prefix() }),
    ground: { ...ground, prefixBytes: 5 },
    gaps: { ...S3_GAPS[backend], ...(backend === 's3 on R2' && { [LARGE]: ELSEWHERE, [BOUNDED]: ELSEWHERE }) },
  }
}
