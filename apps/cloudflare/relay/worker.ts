/** An example: a Worker that receives mail, and sends on what its users submit. */
import type { DurableObjectNamespace, R2Bucket } from '@cloudflare/workers-types'
import { createReceiver, createWorker, type Worker } from '@postern/worker'
import { relayObject, type RelayObjectClass, sendOn } from '@postern/worker/relay'

/** The Worker's bindings: `wrangler.jsonc` lists them. */
interface Env {
  readonly MAIL: R2Bucket
  readonly RELAY: DurableObjectNamespace
}

const receiver = createReceiver<Env>({ bucket: (env) => env.MAIL, sendOn: sendOn() })

const worker: Worker<Env> = createWorker(receiver) satisfies ExportedHandler<Env>

export default worker

export const MailQueue: RelayObjectClass<Env> = relayObject(receiver)
