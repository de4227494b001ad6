/**
 * `@postern/worker/entrypoints`: classes that a Worker exports by name.
 *
 *     export const Postern = bindingEntrypoint(receiver)
 */
import { WorkerEntrypoint } from 'cloudflare:workers'
import { accept, NOT_TOLD } from '@postern/runtime/cloudflare'
import { endpointOf, type Peer } from './peer.ts'
import type { Receiver } from './receiver.ts'

/** A class that a Worker may export. */
export type EntrypointClass<Env, Methods> = new (context: ExecutionContext, env: Env) => WorkerEntrypoint<Env> & Methods

export interface BindingMethods {
  /** Serves a socket of another Worker. `peer` is the client, because the socket does not have its address. */
  accept(socket: Socket, peer?: Peer): Promise<void>
  /** Serves `env.POSTERN.connect(…)`. The client's address is unknown, unless a PROXY header has it: the setting `proxyFrom` has `binding`. */
  connect(socket: Socket): Promise<void>
}

export interface TlsMethods {
  connect(socket: Socket): Promise<void>
}

/** Makes the class that other Workers bind: `{ "binding": "POSTERN", "service": "postern", "entrypoint": "Postern" }`. */
export function bindingEntrypoint<Env extends object>(receiver: Receiver<Env>): EntrypointClass<Env, BindingMethods> {
  return class extends WorkerEntrypoint<Env> {
    async accept(socket: Socket, peer?: Peer): Promise<void> {
      await accept(receiver.open(this.env).server, socket, { remote: endpointOf(peer) })
    }

    override async connect(socket: Socket): Promise<void> {
      const { overrides, server } = receiver.open(this.env)
      await accept(server, socket, { overrides })
    }
  }
}

/** Makes the class for connections whose TLS ends before the Worker. Use it for nothing else: it treats every connection as secure. */
export function tlsEntrypoint<Env extends object>(receiver: Receiver<Env>): EntrypointClass<Env, TlsMethods> {
  return class extends WorkerEntrypoint<Env> {
    override async connect(socket: Socket): Promise<void> {
      await accept(receiver.open(this.env).server, socket, { tls: NOT_TOLD })
    }
  }
}
