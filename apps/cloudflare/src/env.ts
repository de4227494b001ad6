/** What a deployment gives the Worker. */
import type { DurableObjectNamespace, R2Bucket } from '@cloudflare/workers-types'
import type { Disk } from './disk/disk.ts'

/** Bindings, vars and secrets. Vars begin with POSTERN_, and settings.ts says which there are. */
export interface Env {
  /** Where mail is kept: on Cloudflare, a bucket. */
  readonly MAIL?: R2Bucket
  /** Where mail is kept: on a machine of one's own, its disk. */
  readonly DISK?: DurableObjectNamespace<Disk>
  readonly [name: string]: unknown
}
