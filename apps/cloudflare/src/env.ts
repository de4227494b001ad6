/** The environment that a deployment gives the Worker. */
import type { DurableObjectId, R2Bucket } from '@cloudflare/workers-types'
import type { RemoteDisk } from '@postern/worker/disk'

/** Bindings, vars and secrets. Vars begin with POSTERN_; settings.ts lists them. */
export interface Env {
  /** The store on Cloudflare: a bucket. */
  readonly MAIL?: R2Bucket
  /** The store on your own machine: its disk. */
  readonly DISK?: DiskNamespace
  readonly [name: string]: unknown
}

/** The parts of a namespace of Disk objects that are used here. */
export interface DiskNamespace {
  getByName(name: string): RemoteDisk
  get(id: DurableObjectId): RemoteDisk
}
