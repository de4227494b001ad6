/** What a deployment gives the Worker. */
import type { DurableObjectId, R2Bucket } from '@cloudflare/workers-types'
import type { RemoteDisk } from './disk/rpc.ts'

/** Bindings, vars and secrets. Vars begin with POSTERN_, and settings.ts says which there are. */
export interface Env {
  /** Where mail is kept: on Cloudflare, a bucket. */
  readonly MAIL?: R2Bucket
  /** Where mail is kept: on a machine of one's own, its disk. */
  readonly DISK?: DiskNamespace
  readonly [name: string]: unknown
}

/** The Durable Objects that are disks, as much of them as is used here. */
export interface DiskNamespace {
  getByName(name: string): RemoteDisk
  get(id: DurableObjectId): RemoteDisk
}
