/** Postern as a Worker: the same as on the other runtimes, on the sockets that workerd gives. */
import type { Socket } from '@cloudflare/workers-types'
import { createServer } from '@postern/engine'
import { accept } from '@postern/runtime/cloudflare'
import { type BlobStore, keep } from '@postern/storage'
import { discard } from '../discard.ts'
import { keepInMemory } from '../in-memory.ts'
import { OPTIONS } from '../posture.ts'

interface Env {
  readonly STORE: string
}

interface Worker<E> {
  connect(socket: Socket, env: E): Promise<void>
}

/** @param openDisk Where there is one: the disk that mail is kept on. */
export function worker<E extends Env>(openDisk?: (env: E) => BlobStore): Worker<E> {
  let server: ReturnType<typeof createServer> | undefined
  return {
    connect(socket, env) {
      server ??= createServer({
        ...OPTIONS,
        data: openDisk !== undefined ? keep(openDisk(env)) : env.STORE === 'memory' ? keepInMemory() : discard,
      })
      return accept(server, socket)
    },
  }
}

const withoutDisk: Worker<Env> = worker()

export default withoutDisk
