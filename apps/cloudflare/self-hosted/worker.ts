/** The Worker with the same policy, and mail on the disk of this machine. */
import type { DurableObjectNamespace } from '@cloudflare/workers-types'
import { createReceiver, createWorker, keepUp, type Receiver, type Worker } from '@postern/worker'
import { disk, DiskObject, type RemoteDisk } from '@postern/worker/disk'
import { type EntrypointClass, tlsEntrypoint, type TlsMethods } from '@postern/worker/entrypoints'
import { relayObject, type RelayObjectClass, sendOn } from '@postern/worker/relay'
import { type Env as PolicyEnv, policy } from '../src/policy.ts'

/** The bindings of `config.ts`. */
interface Env extends PolicyEnv {
  readonly DISK: DurableObjectNamespace
  readonly RELAY: DurableObjectNamespace
}

const receiver: Receiver<Env> = createReceiver<Env>({
  ...policy,
  sendOn: sendOn(),
  store: ({ DISK }) => disk(() => DISK.getByName('mail') as unknown as RemoteDisk),
})

const worker: Worker<Env> = createWorker(receiver)

export default worker

export const ImplicitTls: EntrypointClass<Env, TlsMethods> = tlsEntrypoint(receiver)

export const MailQueue: RelayObjectClass<Env> = relayObject(receiver)

export class Disk extends DiskObject<Env> {
  protected override keepUp(): Promise<boolean> {
    return keepUp(receiver.open(this.env), true)
  }
}
