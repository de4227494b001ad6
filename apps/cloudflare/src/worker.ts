/** An example: a Worker with every handler, a policy of its own, and the class that other Workers bind. */
import { createReceiver, createWorker, type Worker } from '@postern/worker'
import { bindingEntrypoint, type BindingMethods, type EntrypointClass } from '@postern/worker/entrypoints'
import { type Env, policy } from './policy.ts'

const receiver = createReceiver<Env>({ bucket: (env) => env.MAIL, ...policy })

const worker: Worker<Env> = createWorker(receiver) satisfies ExportedHandler<Env>

export default worker

export const Postern: EntrypointClass<Env, BindingMethods> = bindingEntrypoint(receiver)
